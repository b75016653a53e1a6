// SPDX-License-Identifier: GPL-3.0-or-later
// Legacy iptables tells nobody when it changes. A stamp of its tables is cheap enough to be taken
// several times a second, where running iptables-legacy-save is not.
#pragma once

#include <stdint.h>

// Of the sizes and hook offsets of all our tables, both families: another value whenever a rule was
// added or taken away anywhere. A rule exchanged for one of equal size is not seen; the slower, full
// verification finds it. Ask only where our rules are in place: it makes tables that are missing.
uint64_t legacy_stamp(void);
