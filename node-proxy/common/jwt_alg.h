// SPDX-License-Identifier: GPL-3.0-or-later
// JWS signature algorithms (RFC 7518 3.1, RFC 8037): the one word that core/jwt (who reads tokens)
// and io/crypto (who verifies them) share, as those two rooms never include each other.
#pragma once

enum jwt_alg {
	JWT_ALG_NONE = 0, // "none" and everything unknown: always refused
	JWT_RS256,
	JWT_RS384,
	JWT_RS512,
	JWT_PS256,
	JWT_PS384,
	JWT_PS512,
	JWT_ES256,
	JWT_ES384,
	JWT_ES512,
	JWT_EDDSA,
};
