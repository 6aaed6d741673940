/* Discovery documents across processes: one owner-only file per FHIR base, so that nobody else can put one there. */
#ifndef HS_DISCOVERY_CACHE_H
#define HS_DISCOVERY_CACHE_H

#include "discovery.h"
#include "private_directory.h"

/* `*out_found` is false, and `out_discovery` untouched, when there is none that may still be used at `now_s`. */
HSMART_MUST_CHECK enum hsmart_code hs_discovery_cache_load(const struct hs_private_directory *directory,
                                                           const char *fhir_base, int64_t now_s, bool *out_found,
                                                           struct hs_discovery *out_discovery, hsmart_err *err);
/* Does nothing with one that must not be kept (no-store). */
HSMART_MUST_CHECK enum hsmart_code hs_discovery_cache_save(const struct hs_private_directory *directory,
                                                           const char *fhir_base, const struct hs_discovery *discovery,
                                                           hsmart_err *err);
void hs_discovery_cache_forget(const struct hs_private_directory *directory, const char *fhir_base);

#endif
