/* One access token request with client_secret_basic, by libcurl alone: what hsmart's is measured against. It reads the
 * one certificate that it needs out of a hashed directory, as hsmart does.
 *
 *   bench_request URL CA-DIRECTORY CLIENT-ID SECRET-FILE once       a cold process
 *   bench_request URL CA-DIRECTORY CLIENT-ID SECRET-FILE serve      "1 MILLISECONDS" on each line of standard input:
 * requests for so long on one kept connection; prints "COUNT NANOSECONDS" */
#include <curl/curl.h>
#include <stdint.h>
#include <stdio.h>
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

static int
ask(CURL *handle)
{
    long status = 0;

    body_len = 0;
    if (curl_easy_perform(handle) != CURLE_OK)
        return 1;
    (void)curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    body[body_len] = '\0';
    return status == 200 && strstr(body, "\"access_token\"") != NULL ? 0 : 1;
}

int
main(int argc, char **argv)
{
    char secret[1024] = "", line[64];

    if (argc != 6)
        return 2;
    FILE *file = fopen(argv[4], "r");
    if (file == NULL || fgets(secret, sizeof secret, file) == NULL)
        return 2;
    (void)fclose(file);
    secret[strcspn(secret, "\r\n")] = '\0';
    CURL *handle = curl_easy_init();
    if (handle == NULL)
        return 1;
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    (void)curl_easy_setopt(handle, CURLOPT_URL, argv[1]);
    (void)curl_easy_setopt(handle, CURLOPT_CAINFO, NULL);
    (void)curl_easy_setopt(handle, CURLOPT_CAPATH, argv[2]);
    (void)curl_easy_setopt(handle, CURLOPT_USERNAME, argv[3]);
    (void)curl_easy_setopt(handle, CURLOPT_PASSWORD, secret);
    (void)curl_easy_setopt(handle, CURLOPT_POSTFIELDS, "grant_type=client_credentials&scope=system%2FPatient.rs");
    (void)curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, collect);
    int status = ask(handle);
    if (status == 0 && strcmp(argv[5], "once") == 0)
        (void)puts(body);
    if (strcmp(argv[5], "serve") == 0) {
        unsigned threads;
        unsigned long milliseconds;
        (void)puts("ready");
        (void)fflush(stdout);
        while (status == 0 && fgets(line, sizeof line, stdin) != NULL &&
               sscanf(line, "%u %lu", &threads, &milliseconds) == 2) {
            uint64_t began_ns = now_ns();
            unsigned long long count = 0;
            for (; status == 0 && now_ns() < began_ns + milliseconds * 1000000U; count++)
                status = ask(handle);
            (void)printf("%llu %llu\n", count, (unsigned long long)(now_ns() - began_ns));
            (void)fflush(stdout);
        }
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(handle);
    return status;
}
