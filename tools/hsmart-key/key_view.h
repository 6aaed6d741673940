/* How a key is shown, to people and as JSON. */
#ifndef HSMART_KEY_VIEW_H
#define HSMART_KEY_VIEW_H

#include <hsmart/key.h>

#include "json.h"
#include "output.h"

/* "ok", "refused" (by policy) or "unusable". */
const char *key_verdict(const hsmart_key_info *info);
/* "ok", "FAIL" (and the key is refused), "warning", "not reported". */
const char *key_attribute_verdict(const hsmart_key_attribute *attribute);

/* "RSA 3072", "EC P-384", "CKK_EC_EDWARDS". */
void key_put_size(struct table *table, const hsmart_key_info *info);
/* The id in hex, "-" when there is none. */
void key_put_id(struct table *table, const hsmart_key_info *info);
/* One line of a listing's URIs: label and URI. `is_unique` false: it is said that it names another key, too. */
void key_put_uri(struct table *table, const hsmart_key_info *info, bool is_unique);
#define KEY_URI_COLUMNS 3U
/* The attributes as a table, indented. */
void key_put_attributes(struct text *text, const hsmart_key_info *info);
/* The members of a key's JSON object, between begin and end of the object. */
void key_put_members(struct hs_json_writer *writer, const hsmart_key_info *info);

#endif
