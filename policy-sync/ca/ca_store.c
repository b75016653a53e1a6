// SPDX-License-Identifier: GPL-3.0-or-later
// The CA's roots: files and their order. Keys are written before certificates and removed before
// them, so a certificate whose key is missing is a root on its way out, never a new one.
#include "ca/ca_store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "io/crypto.h"

#define ROOT_LIFETIME_S	      (5LL * 366 * 86400)
#define ROOT_BACKDATE_S	      3600
#define ROOT_NUMBER_MAX	      999999
#define DIRECTORY_ENTRIES_MAX 64

struct ca_path {
	char text[320];
};

static const char *ca_store_path(const struct ca_store *s, struct ca_path *path, uint32_t number,
				 const char *suffix)
{
	snprintf(path->text, sizeof(path->text), "%s/%u.%s", s->directory, number, suffix);
	return path->text;
}

static const char *ca_store_active_path(const struct ca_store *s, struct ca_path *path)
{
	snprintf(path->text, sizeof(path->text), "%s/active", s->directory);
	return path->text;
}

void ca_store_wipe(struct ca_store *s)
{
	explicit_bzero(s, sizeof(*s));
}

static enum err must_check ca_store_write_active(const struct ca_store *s, uint32_t number,
						 struct reason *why)
{
	struct ca_path path;
	char text[16];
	enum err e;

	snprintf(text, sizeof(text), "%u\n", number);
	e = file_write(ca_store_active_path(s, &path), 0600, slice_str(text));
	return e ? err_because(e, why, "cannot write %s: %s", path.text, strerror(errno)) : ERR_OK;
}

static enum err must_check ca_store_make_root(struct ca_store *s, uint32_t number,
					      int64_t now_unix_s, struct reason *why)
{
	struct ca_root *root = &s->roots[s->count];
	struct ca_path path;
	struct buf pem;
	char name[64];
	enum err e;

	memset(root, 0, sizeof(*root));
	e = x509_key_generate(&root->key);
	if (e)
		return err_because(e, why, "cannot make a root key");
	// The name carries some of the key, so that two roots never share one.
	snprintf(name, sizeof(name), "Portcullis root %u %02x%02x%02x%02x", number,
		 root->key.public_der[30], root->key.public_der[31], root->key.public_der[32],
		 root->key.public_der[33]);
	buf_init_fixed(&pem, root->pem, sizeof(root->pem));
	root->number = number;
	root->not_after_unix_s = now_unix_s + ROOT_LIFETIME_S;
	e = x509_make_root(&root->key, slice_str(name), now_unix_s - ROOT_BACKDATE_S,
			   root->not_after_unix_s, &pem);
	if (e)
		return err_because(e, why, "cannot sign a root certificate");
	root->pem_bytes = pem.len;
	e = file_write(ca_store_path(s, &path, number, "key"), 0600,
		       slice_make(root->key.der, root->key.der_len));
	if (!e)
		e = file_write(ca_store_path(s, &path, number, "pem"), 0644, buf_slice(&pem));
	if (e)
		return err_because(e, why, "cannot write %s: %s", path.text, strerror(errno));
	s->count++;
	return ERR_OK;
}

static enum err must_check ca_store_load_key(struct ca_store *s, struct ca_root *root,
					     struct reason *why)
{
	uint8_t der[X509_KEY_DER_MAX];
	struct ca_path path;
	struct stat st;
	struct buf b;
	enum err e;

	ca_store_path(s, &path, root->number, "key");
	if (lstat(path.text, &st) != 0)
		return ERR_NOT_FOUND;
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
		return err_because(ERR_DENIED, why, "%s must be a file of mode 0600", path.text);
	buf_init_fixed(&b, der, sizeof(der));
	e = file_read(path.text, sizeof(der), &b);
	if (!e)
		e = x509_key_load(buf_slice(&b), &root->key);
	explicit_bzero(der, sizeof(der));
	return e ? err_because(e, why, "%s is not a P-256 private key", path.text) : ERR_OK;
}

// One root from its files; key and certificate must belong together. ERR_NOT_FOUND: no key.
static enum err must_check ca_store_load_root(struct ca_store *s, uint32_t number,
					      struct reason *why)
{
	struct ca_root *root = &s->roots[s->count];
	struct x509_info info;
	uint8_t pin[32];
	struct ca_path path;
	struct buf pem;
	enum err e;

	memset(root, 0, sizeof(*root));
	root->number = number;
	e = ca_store_load_key(s, root, why);
	if (e)
		return e;
	buf_init_fixed(&pem, root->pem, sizeof(root->pem));
	ca_store_path(s, &path, number, "pem");
	e = file_read(path.text, sizeof(root->pem), &pem);
	if (!e)
		e = x509_read(buf_slice(&pem), &info);
	if (e)
		return err_because(e, why, "%s cannot be read as a certificate", path.text);
	root->pem_bytes = pem.len;
	root->not_after_unix_s = info.not_after_unix_s;
	crypto_sha256(slice_make(root->key.public_der, root->key.public_len), pin);
	if (memcmp(pin, info.key_pin, sizeof(pin)) != 0)
		return err_because(ERR_CONFIG, why, "%s is not the certificate of its key",
				   path.text);
	s->count++;
	return ERR_OK;
}

static int ca_store_order(const void *a, const void *b)
{
	const uint32_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

// Numbers of all certificates, ascending.
static enum err must_check ca_store_list(const struct ca_store *s, uint32_t *numbers,
					 uint32_t *count, struct reason *why)
{
	DIR *d = opendir(s->directory);
	struct dirent *entry;
	enum err e = ERR_OK;

	*count = 0;
	if (!d)
		return err_because(ERR_IO, why, "cannot read %s: %s", s->directory,
				   strerror(errno));
	while ((entry = readdir(d)) != NULL) {
		char *end;
		unsigned long n = strtoul(entry->d_name, &end, 10);

		if (end == entry->d_name || strcmp(end, ".pem") != 0 || n == 0 ||
		    n > ROOT_NUMBER_MAX)
			continue;
		if (*count == DIRECTORY_ENTRIES_MAX) {
			e = err_because(ERR_TOO_LARGE, why, "%s holds too many roots",
					s->directory);
			break;
		}
		numbers[(*count)++] = (uint32_t)n;
	}
	closedir(d);
	qsort(numbers, *count, sizeof(*numbers), ca_store_order);
	return e;
}

// ERR_NOT_FOUND: there is none, this directory is new.
static enum err must_check ca_store_read_active(const struct ca_store *s, uint32_t *number,
						struct reason *why)
{
	uint8_t text[17] = {0};
	struct ca_path path;
	struct buf b;
	enum err e;
	char *end;

	buf_init_fixed(&b, text, sizeof(text) - 1);
	e = file_read(ca_store_active_path(s, &path), sizeof(text) - 1, &b);
	if (e == ERR_NOT_FOUND)
		return e;
	*number = (uint32_t)strtoul((char *)text, &end, 10);
	if (e || *number == 0 || *end != '\n')
		return err_because(ERR_CONFIG, why, "%s does not name a root", path.text);
	return ERR_OK;
}

static enum err must_check ca_store_load_all(struct ca_store *s, const uint32_t *numbers,
					     uint32_t count, uint32_t active, struct reason *why)
{
	bool found = false;

	for (uint32_t i = 0; i < count; i++) {
		struct ca_path path;
		enum err e;

		if (s->count == CA_ROOTS_MAX)
			return err_because(ERR_CONFIG, why, "%s holds more than %d roots",
					   s->directory, CA_ROOTS_MAX);
		e = ca_store_load_root(s, numbers[i], why);
		if (e == ERR_NOT_FOUND && numbers[i] != active) {
			// A crash in ca_store_finish: its key is destroyed, the rest follows.
			unlink(ca_store_path(s, &path, numbers[i], "pem"));
			continue;
		}
		if (e == ERR_NOT_FOUND)
			return err_because(ERR_CONFIG, why, "%s is missing",
					   ca_store_path(s, &path, numbers[i], "key"));
		if (e)
			return e;
		if (numbers[i] == active) {
			s->active = s->count - 1;
			found = true;
		}
	}
	return found ? ERR_OK
		     : err_because(ERR_CONFIG, why, "root %u of %s is missing", active,
				   s->directory);
}

enum err ca_store_open(struct ca_store *s, const char *directory, int64_t now_unix_s,
		       struct reason *why)
{
	uint32_t numbers[DIRECTORY_ENTRIES_MAX];
	uint32_t count = 0, active = 0;
	enum err e;

	memset(s, 0, sizeof(*s));
	if ((size_t)snprintf(s->directory, sizeof(s->directory), "%s", directory) >=
	    sizeof(s->directory))
		return err_because(ERR_CONFIG, why, "the path of the state directory is too long");
	e = file_make_private_directory(directory);
	if (e == ERR_DENIED)
		return err_because(e, why, "%s must be a directory of mode 0700 of our own",
				   directory);
	if (e)
		return err_because(e, why, "cannot make %s: %s", directory, strerror(errno));
	e = ca_store_list(s, numbers, &count, why);
	if (e)
		return e;
	e = ca_store_read_active(s, &active, why);
	if (e == ERR_OK)
		return ca_store_load_all(s, numbers, count, active, why);
	if (e != ERR_NOT_FOUND)
		return e;
	// New, or a crash before the very first root was in use.
	if (count > 1)
		return err_because(ERR_CONFIG, why, "%s has roots and no file 'active'", directory);
	e = ca_store_make_root(s, 1, now_unix_s, why);
	if (e)
		return e;
	return ca_store_write_active(s, 1, why);
}

enum ca_stage ca_store_stage(const struct ca_store *s)
{
	if (s->count < 2)
		return CA_STAGE_STABLE;
	return s->active == 0 ? CA_STAGE_BEGUN : CA_STAGE_SWITCHED;
}

enum err ca_store_begin(struct ca_store *s, int64_t now_unix_s, struct reason *why)
{
	if (ca_store_stage(s) != CA_STAGE_STABLE)
		return err_because(ERR_EXISTS, why, "a rotation is under way");
	return ca_store_make_root(s, s->roots[0].number + 1, now_unix_s, why);
}

enum err ca_store_switch(struct ca_store *s, struct reason *why)
{
	enum err e;

	if (ca_store_stage(s) != CA_STAGE_BEGUN)
		return err_because(ERR_NOT_FOUND, why, "no rotation has begun");
	e = ca_store_write_active(s, s->roots[1].number, why);
	if (!e)
		s->active = 1;
	return e;
}

enum err ca_store_finish(struct ca_store *s, struct reason *why)
{
	struct ca_path path;

	if (ca_store_stage(s) != CA_STAGE_SWITCHED)
		return err_because(ERR_NOT_FOUND, why, "the new root does not sign yet");
	if (unlink(ca_store_path(s, &path, s->roots[0].number, "key")) != 0 ||
	    unlink(ca_store_path(s, &path, s->roots[0].number, "pem")) != 0)
		return err_because(ERR_IO, why, "cannot remove %s: %s", path.text, strerror(errno));
	x509_key_wipe(&s->roots[0].key);
	s->roots[0] = s->roots[1];
	x509_key_wipe(&s->roots[1].key);
	s->count = 1;
	s->active = 0;
	return ERR_OK;
}
