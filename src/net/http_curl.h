/* libcurl, loaded when it is needed first. Linked, it would cost every command 7.7 million instructions and 5 ms before
 * main, requests or not. */
#ifndef HS_HTTP_CURL_H
#define HS_HTTP_CURL_H

#define CURL_DISABLE_TYPECHECK /* its macros would take the table's members for functions */
#include <curl/curl.h>

#include "bytes.h"

struct hs_curl {
    CURLcode (*global_init)(long flags);
    const char *(*easy_strerror)(CURLcode code);
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *handle, CURLoption option, ...);
    CURLcode (*easy_perform)(CURL *handle);
    CURLcode (*easy_getinfo)(CURL *handle, CURLINFO info, ...);
    void (*easy_reset)(CURL *handle);
    void (*easy_cleanup)(CURL *handle);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
    CURLU *(*url)(void);
    void (*url_cleanup)(CURLU *url);
    CURLUcode (*url_get)(const CURLU *url, CURLUPart what, char **out_part, unsigned flags);
    CURLUcode (*url_set)(CURLU *url, CURLUPart what, const char *part, unsigned flags);
    void (*free)(void *memory);
};

/* libcurl's functions; the first call, from whatever thread, loads it. It stays loaded until the process ends.
 * HSMART_FILE_UNREADABLE, with the same words every time, when it is not there or too old. */
HSMART_MUST_CHECK enum hsmart_code hs_curl_get(const struct hs_curl **out_curl, hsmart_err *err);

#endif
