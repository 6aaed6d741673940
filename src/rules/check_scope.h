/* R06: the scope of a token request. */
#ifndef HS_CHECK_SCOPE_H
#define HS_CHECK_SCOPE_H

#include "request_view.h"

void hs_r06_scope(struct hs_check *check, const struct request_view *view);

#endif
