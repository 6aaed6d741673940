/* Scopes as a server reads them (SMART App Launch 2.2, "scopes and launch context"). On purpose not the client's
 * reading in src/smart: two who agree by sharing code prove nothing. */
#ifndef SANDBOX_SCOPES_H
#define SANDBOX_SCOPES_H

#include "bytes.h"

#define SCOPE_TEXT_MAX 8192U

/* What is wrong with one scope for a backend client, or NULL; `word` is not separated further. */
const char *scope_fault(struct hs_span word);
/* Whether `granted` (words separated by spaces) allows `permission` (one of "cruds") on `type`. */
bool scope_allows(const char *granted, const char *type, char permission);
/* Puts into `out_granted` those words of `requested` that are good and that `registered` (NULL: everything) covers; and
 * into `out_refused` the first of the others, with what is wrong with it. With `takes_foreign`, words that are none of
 * SMART's are good, too: some families have their own. They open nothing here. */
enum hsmart_code scope_grant(const char *requested, const char *registered, bool takes_foreign,
                             struct hs_buf *out_granted, struct hs_buf *out_refused, hsmart_err *err);

#endif
