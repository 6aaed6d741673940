#include "http_curl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#include "err.h"
#include "text.h"

#define LIBRARY "libcurl.so.4"
#define PACKAGE "libcurl4" /* Debian's */

static struct {
    const char *name;
    size_t offset;
} const symbols[] = {
    {"curl_global_init", offsetof(struct hs_curl, global_init)},
    {"curl_easy_strerror", offsetof(struct hs_curl, easy_strerror)},
    {"curl_easy_init", offsetof(struct hs_curl, easy_init)},
    {"curl_easy_setopt", offsetof(struct hs_curl, easy_setopt)},
    {"curl_easy_perform", offsetof(struct hs_curl, easy_perform)},
    {"curl_easy_getinfo", offsetof(struct hs_curl, easy_getinfo)},
    {"curl_easy_reset", offsetof(struct hs_curl, easy_reset)},
    {"curl_easy_cleanup", offsetof(struct hs_curl, easy_cleanup)},
    {"curl_slist_append", offsetof(struct hs_curl, slist_append)},
    {"curl_slist_free_all", offsetof(struct hs_curl, slist_free_all)},
    {"curl_url", offsetof(struct hs_curl, url)},
    {"curl_url_cleanup", offsetof(struct hs_curl, url_cleanup)},
    {"curl_url_get", offsetof(struct hs_curl, url_get)},
    {"curl_url_set", offsetof(struct hs_curl, url_set)},
    {"curl_free", offsetof(struct hs_curl, free)},
};

/* One process has one libcurl, so this has one owner too. Written once, under pthread_once. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct hs_curl curl;
static char failure[256]; /* why there is none */

static void
fail(const char *reason)
{
    (void)snprintf(failure, sizeof failure, "%s", reason != NULL ? reason : "unknown reason");
    hs_text_sanitize(failure);
}

static void
load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        fail(dlerror());
        return;
    }
    for (size_t i = 0; i < HS_ARRAY_LEN(symbols); i++) {
        void *symbol = dlsym(library, symbols[i].name);
        if (symbol == NULL) {
            fail(dlerror());
            return;
        }
        memcpy((char *)&curl + symbols[i].offset, &symbol, sizeof symbol); /* ISO C has no cast for this */
    }
    /* Safe beside other users of libcurl in this process: it counts, and locks since 7.84. */
    CURLcode result = curl.global_init(CURL_GLOBAL_DEFAULT);
    if (result != CURLE_OK)
        fail(curl.easy_strerror(result));
}

enum hsmart_code
hs_curl_get(const struct hs_curl **out_curl, hsmart_err *err)
{
    (void)pthread_once(&once, load);
    if (failure[0] != 0) {
        enum hsmart_code code = hs_err_set(err, HSMART_FILE_UNREADABLE,
                                           "%s, which makes the requests, cannot be loaded: %s", LIBRARY, failure);
        hs_err_hint(err, "install libcurl 7.85 or newer (Debian package %s)", PACKAGE);
        return code;
    }
    *out_curl = &curl;
    return HSMART_OK;
}
