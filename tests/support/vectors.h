/* For tests: the published vectors, where they are on this machine (environment variable HSMART_VECTORS). */
#ifndef HS_VECTORS_H
#define HS_VECTORS_H

#include "json.h"

/* Reads `name` ("rfc/base64url.json"). A test whose vectors are not there is skipped, with their name; vectors that are
 * there and cannot be read make it fail. */
void vectors_load(const char *name, struct hs_json_doc *out_doc);
/* The same for text that is no JSON. */
void vectors_load_text(const char *name, struct hs_buf *out_text);

/* A member that must be a string. */
const char *vector_text(const hs_json_value *object, const char *name);
/* A member in hex, as bytes. */
void vector_hex(const hs_json_value *object, const char *name, struct hs_buf *out_bytes);

#endif
