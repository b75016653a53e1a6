// SPDX-License-Identifier: GPL-3.0-or-later
// The verbs of policy-sync. argv[0] is the verb. Each returns the process's exit status: 0 good, 1 findings
// or failure, 2 usage; explain: 3 denied.
#pragma once

int verb_check(int argc, char **argv);
int verb_reference(int argc, char **argv);
int verb_compile(int argc, char **argv);
int verb_explain(int argc, char **argv);
int verb_serve(int argc, char **argv); // publish/serve.c
int verb_ca(int argc, char **argv);    // verbs/order.c
int verb_node(int argc, char **argv);  // verbs/order.c
