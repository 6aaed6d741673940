/* A SHA-256 for people: hex and words side by side, short enough for a narrow terminal. */
#ifndef TOOL_FINGERPRINT_VIEW_H
#define TOOL_FINGERPRINT_VIEW_H

#include "output.h"

/* Four bytes a line: "INDENT9f86d081  quadrant … \n"; at most 60 columns with an indent of two. */
void fingerprint_put(struct text *text, struct hs_span digest, const char *indent);

#endif
