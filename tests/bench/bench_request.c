/* One access token request with client_secret_basic, by libcurl alone: what hsmart's is measured against. It reads the
 * one certificate that it needs out of a hashed directory, as hsmart does. It does what a correct program must and no
 * more: reads the secret, as it may have been changed, and takes status, access token and life out of the answer by
 * json-c.
 *
 *   bench_request URL CA-DIRECTORY CLIENT-ID SECRET-FILE once       a cold process
 *   bench_request URL CA-DIRECTORY CLIENT-ID SECRET-FILE serve      "1 MILLISECONDS" on each line of standard input:
 * requests for so long on one kept connection; prints "COUNT NANOSECONDS"
 *   bench_request URL CA-DIRECTORY CLIENT-ID SECRET-FILE serve-new  the same, each request on a new connection with the
 * TLS session of the last
 *   bench_request URL CA-DIRECTORY CLIENT-ID SECRET-FILE count N    1 + N requests on one kept connection */
#include <curl/curl.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char body[65536];
static size_t body_len;

static size_t
collect(char *data, size_t size, size_t count, void *arg)
{
    (void)arg;
    if (body_len + size * count >= sizeof body)
        return 0;
    memcpy(body + body_len, data, size * count);
    body_len += size * count;
    return size * count;
}

static uint64_t
now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static bool
set_secret(CURL *handle, const char *path)
{
    char secret[1024] = "";
    FILE *file = fopen(path, "r");

    if (file == NULL || fgets(secret, sizeof secret, file) == NULL)
        return false;
    (void)fclose(file);
    secret[strcspn(secret, "\r\n")] = '\0';
    return curl_easy_setopt(handle, CURLOPT_PASSWORD, secret) == CURLE_OK;
}

static bool
has_access_token(void)
{
    struct json_object *access_token = NULL, *life = NULL;
    struct json_object *answer = json_tokener_parse(body);
    bool has = json_object_object_get_ex(answer, "access_token", &access_token) &&
               json_object_object_get_ex(answer, "expires_in", &life) && json_object_get_string_len(access_token) > 0 &&
               json_object_get_int64(life) > 0;

    (void)json_object_put(answer);
    return has;
}

static int
fail(const char *what, long number)
{
    (void)fprintf(stderr, "bench_request: %s (%ld)\n", what, number);
    return 1;
}

static int
ask(CURL *handle, const char *secret_file)
{
    long status = 0;

    body_len = 0;
    if (!set_secret(handle, secret_file))
        return fail("no secret", 0);
    CURLcode result = curl_easy_perform(handle);
    if (result != CURLE_OK)
        return fail(curl_easy_strerror(result), (long)result);
    (void)curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    body[body_len] = '\0';
    if (status != 200)
        return fail(body, status);
    return has_access_token() ? 0 : fail("no access token in the answer", status);
}

int
main(int argc, char **argv)
{
    char line[64];

    if (argc < 6)
        return 2;
    CURL *handle = curl_easy_init();
    if (handle == NULL)
        return 1;
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    if (strcmp(argv[5], "serve-new") == 0)
        headers = curl_slist_append(headers, "Connection: close");
    (void)curl_easy_setopt(handle, CURLOPT_URL, argv[1]);
    (void)curl_easy_setopt(handle, CURLOPT_CAINFO, NULL);
    (void)curl_easy_setopt(handle, CURLOPT_CAPATH, argv[2]);
    (void)curl_easy_setopt(handle, CURLOPT_USERNAME, argv[3]);
    (void)curl_easy_setopt(handle, CURLOPT_POSTFIELDS, "grant_type=client_credentials&scope=system%2FPatient.rs");
    (void)curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, collect);
    int status = ask(handle, argv[4]);
    for (long n = argc == 7 ? strtol(argv[6], NULL, 10) : 0; status == 0 && n > 0; n--)
        status = ask(handle, argv[4]);
    if (status == 0 && strcmp(argv[5], "once") == 0)
        (void)puts(body);
    if (strncmp(argv[5], "serve", 5) == 0) {
        unsigned threads;
        unsigned long milliseconds;
        (void)puts("ready");
        (void)fflush(stdout);
        while (status == 0 && fgets(line, sizeof line, stdin) != NULL &&
               sscanf(line, "%u %lu", &threads, &milliseconds) == 2) {
            uint64_t began_ns = now_ns();
            unsigned long long count = 0;
            for (; status == 0 && now_ns() < began_ns + milliseconds * 1000000U; count++)
                status = ask(handle, argv[4]);
            (void)printf("%llu %llu\n", count, (unsigned long long)(now_ns() - began_ns));
            (void)fflush(stdout);
        }
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(handle);
    return status;
}
