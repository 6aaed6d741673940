/* One key for a label, where hosts that share a token make keys at the same moment. */
#ifndef HS_SOLE_LABEL_H
#define HS_SOLE_LABEL_H

#include "p11_token.h"

#define HS_SOLE_LABEL_WAIT_MS 5000U

/* PKCS#11 has no lock between hosts, so each looks whether the label is free, makes its key, and looks again with this:
 * `label` and `id` are those of the key that was just made. Of two that see each other the one with the greater id is
 * taken away by whoever made it; the other waits until it is gone, at most for `wait_ms`, and goes, too, when it stays
 * (it was there before, and its maker has looked already). So at most one is left; none when a host stands still for
 * longer than the other waits. Two of one id, too, which their makers chose, both stay: to destroy one by its id would
 * destroy both.
 *
 * HSMART_KEY_EXISTS: another key has the label, and ours is destroyed again. Errors of the token otherwise, with a hint
 * that both may be there. */
HSMART_MUST_CHECK enum hsmart_code hs_sole_label_settle(struct hs_p11_token *token, struct hs_span label,
                                                        struct hs_span id, unsigned wait_ms, hsmart_err *err);

#endif
