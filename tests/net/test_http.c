#define _GNU_SOURCE /* RTLD_NEXT */
/* HTTP exchanges with real servers: nginx over TLS (tls_servers.sh), and one that does what nginx never would. */
#include <dlfcn.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rows.h"

#include "clock.h"
#include "file.h"
#include "http.h"
#include "scripted_server.h"
#include "tls_servers.h"

#define SECRET "s3cr3t"

/* ---- Helpers ---- */

static struct hs_http *
client(const struct hs_http_options *options)
{
    struct hs_http *http = NULL;
    hsmart_err err = {0};

    if (hs_http_new(options, &http, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    return http;
}

/* A client that trusts the test CA, and may speak http to this machine. */
static struct hs_http *
trusting_client(void)
{
    return client(&(struct hs_http_options){.ca_file = tls_server("TLS_CA"), .allow_http_to_loopback = true});
}

static struct hs_http *
plain_client(void)
{
    return client(&(struct hs_http_options){.allow_http_to_loopback = true});
}

static const char *
url_of(struct hs_buf *url, const char *base, const char *path)
{
    hs_buf_clear(url);
    assert_int_equal(hs_buf_append_format(url, NULL, "%s%s", base, path), HSMART_OK);
    return hs_buf_text(url);
}

static const char *
loopback_url(struct hs_buf *url, const struct scripted_server *server, const char *path)
{
    hs_buf_clear(url);
    assert_int_equal(hs_buf_append_format(url, NULL, "http://127.0.0.1:%u%s", server->port, path), HSMART_OK);
    return hs_buf_text(url);
}

static enum hsmart_code
get(struct hs_http *http, const char *base, const char *path, struct hs_http_response *response, hsmart_err *err)
{
    struct hs_buf url = {0};
    struct hs_http_request request = {.method = "GET", .url = url_of(&url, base, path)};
    enum hsmart_code code = hs_http_exchange(http, &request, response, err);

    hs_buf_clear(&url);
    return code;
}

static void
assert_header(const struct hs_http_response *response, const char *name, const char *value)
{
    struct hs_span found = hs_http_header_of(response, name);

    if (!hs_span_equal_str(found, value))
        fail_msg("%s is \"%.*s\"", name, (int)found.len, (const char *)found.data);
}

static void
make_file(const char *name, size_t len)
{
    struct hs_buf path = {0}, contents = {0};

    assert_int_equal(hs_buf_append_format(&path, NULL, "%s/%s", tls_server("TLS_WWW"), name), HSMART_OK);
    assert_int_equal(hs_buf_resize(&contents, len, NULL), HSMART_OK);
    memset(contents.data, 'x', len);
    assert_int_equal(hs_file_write_atomic(hs_buf_text(&path), hs_span_buf(&contents), 0644, NULL), HSMART_OK);
    hs_buf_clear(&path);
    hs_buf_clear(&contents);
}

/* ---- Loading ---- */

static bool
libcurl_is_loaded(void)
{
    struct hs_buf maps = {0};

    assert_int_equal(hs_file_read("/proc/self/maps", HS_BUF_MAX_DEFAULT, &maps, NULL), HSMART_OK);
    bool loaded = strstr(hs_buf_text(&maps), "libcurl") != NULL;
    hs_buf_clear(&maps);
    return loaded;
}

/* Must be the first test. */
static void
libcurl_is_loaded_by_the_first_request_only(void **state)
{
    (void)state;
    struct hs_http *http = plain_client();
    struct hs_http_response response = {.status = 42};
    int64_t time_s;

    assert_true(hs_http_parse_date(span("Sun, 06 Nov 1994 08:49:37 GMT"), &time_s));
    assert_int_equal(hs_http_retry_after_s(&response), -1);
    assert_false(libcurl_is_loaded());
    assert_int_equal(get(http, "http://127.0.0.1:1", "/", &response, NULL), HSMART_NETWORK_FAILED);
    assert_true(libcurl_is_loaded());
    assert_int_equal(response.status, 42);
    hs_http_free(http);
}

/* ---- Whom we trust ---- */

static struct handshake {
    const char *name, *server, *ca; /* ca: a file in the servers' directory, or NULL */
    enum hsmart_code code;
    const char *reason, *hint; /* after "cannot connect safely to https://127.0.0.1:PORT: " */
} handshakes[] = {
    {"a good certificate", "TLS_GOOD", "root.pem", HSMART_OK, NULL, NULL},
    {"a CA that was not given", "TLS_GOOD", NULL, HSMART_TLS_FAILED,
     "its certificate is signed by an unknown authority", "ca-file"},
    {"another CA", "TLS_GOOD", "stranger.pem", HSMART_TLS_FAILED, "its certificate is signed by an unknown authority",
     "ca-file"},
    {"an expired certificate", "TLS_EXPIRED", "root.pem", HSMART_TLS_FAILED, "its certificate has expired", "clock"},
    {"a certificate for another host", "TLS_WRONG_HOST", "root.pem", HSMART_TLS_FAILED,
     "its certificate is for another host", "host name"},
    {"a self-signed certificate", "TLS_SELF_SIGNED", "root.pem", HSMART_TLS_FAILED,
     "its certificate is signed by itself", "ca-file"},
    {"a certificate of an unknown CA", "TLS_UNKNOWN_CA", "root.pem", HSMART_TLS_FAILED,
     "its certificate is signed by an unknown authority", "ca-file"},
    {"an intermediate that is not sent", "TLS_NO_CHAIN", "root.pem", HSMART_TLS_FAILED,
     "its certificate is signed by an unknown authority", "intermediate"},
    {"TLS 1.1 only", "TLS_OLD", "root.pem", HSMART_TLS_FAILED, "it speaks no TLS 1.2 or newer", NULL},
    {"the unknown CA itself given", "TLS_UNKNOWN_CA", "stranger.pem", HSMART_OK, NULL, NULL},
    {"a self-signed certificate given", "TLS_SELF_SIGNED", "self_signed.pem", HSMART_OK, NULL, NULL},
};

static const char *
in_directory(struct hs_buf *path, const char *name)
{
    hs_buf_clear(path);
    assert_int_equal(hs_buf_append_format(path, NULL, "%s/%s", tls_server("TLS_DIR"), name), HSMART_OK);
    return hs_buf_text(path);
}

static void
a_server_has_to_be_who_it_should(void **state)
{
    const struct handshake *row = *state;
    const char *base = tls_server(row->server);
    struct hs_buf ca = {0}, text = {0};
    struct hs_http *http =
        client(&(struct hs_http_options){.ca_file = row->ca != NULL ? in_directory(&ca, row->ca) : NULL});
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    assert_int_equal(get(http, base, "/" SECRET, &response, &err), row->code);
    if (row->code == HSMART_OK) {
        assert_int_equal(response.status, 404);
    } else {
        assert_int_equal(hs_buf_append_format(&text, NULL, "cannot connect safely to %s: %s", base, row->reason),
                         HSMART_OK);
        assert_string_equal(err.text, hs_buf_text(&text));
        if (row->hint != NULL)
            assert_non_null(strstr(err.hint, row->hint));
        assert_int_equal(response.status, 0);
        assert_null(response.body.data);
    }
    hs_http_response_clear(&response);
    hs_http_free(http);
    hs_buf_clear(&ca);
    hs_buf_clear(&text);
}

/* How both may be trusted at once: root.pem signed TLS_GOOD, stranger.pem signed TLS_UNKNOWN_CA. */
static struct trust {
    const char *name, *ca_file, *ca_directory, *env_file, *env_directory; /* in the servers' directory */
    bool good, unknown;
} trusts[] = {
    {"a file", "root.pem", NULL, NULL, NULL, true, false},
    {"a directory", NULL, "ca", NULL, NULL, true, false},
    {"a file beside a directory", "stranger.pem", "ca", NULL, NULL, true, true},
    {"SSL_CERT_FILE", NULL, NULL, "root.pem", NULL, true, false},
    {"SSL_CERT_DIR", NULL, NULL, NULL, "ca", true, false},
    {"a file beside SSL_CERT_DIR", "stranger.pem", NULL, NULL, "ca", true, true},
    {"a file beside SSL_CERT_FILE", "stranger.pem", NULL, "root.pem", NULL, true, true},
    {"a directory instead of SSL_CERT_DIR", NULL, "ca", NULL, "empty", true, false},
    {"a directory instead of SSL_CERT_FILE", NULL, "ca", "stranger.pem", NULL, true, false},
    {"an empty SSL_CERT_DIR trusts nobody", NULL, NULL, NULL, "empty", false, false},
};

static void
set_or_unset(const char *name, const char *in)
{
    struct hs_buf path = {0};

    if (in != NULL)
        assert_int_equal(setenv(name, in_directory(&path, in), 1), 0);
    else
        assert_int_equal(unsetenv(name), 0);
    hs_buf_clear(&path);
}

static void
certificates_come_from_where_they_should(void **state)
{
    const struct trust *row = *state;
    struct hs_buf file = {0}, directory = {0};
    struct hs_http_response response = {0};

    (void)mkdir(in_directory(&directory, "empty"), 0700);
    set_or_unset("SSL_CERT_FILE", row->env_file);
    set_or_unset("SSL_CERT_DIR", row->env_directory);
    struct hs_http *http = client(&(struct hs_http_options){
        .ca_file = row->ca_file != NULL ? in_directory(&file, row->ca_file) : NULL,
        .ca_directory = row->ca_directory != NULL ? in_directory(&directory, row->ca_directory) : NULL});
    set_or_unset("SSL_CERT_FILE", NULL);
    set_or_unset("SSL_CERT_DIR", NULL);

    assert_int_equal(get(http, tls_server("TLS_GOOD"), "/", &response, NULL),
                     row->good ? HSMART_OK : HSMART_TLS_FAILED);
    assert_int_equal(get(http, tls_server("TLS_UNKNOWN_CA"), "/", &response, NULL),
                     row->unknown ? HSMART_OK : HSMART_TLS_FAILED);
    hs_http_response_clear(&response);
    hs_http_free(http);
    hs_buf_clear(&file);
    hs_buf_clear(&directory);
}

static struct bad_trust {
    const char *name, *ca_file, *ca_directory, *certificate, *key, *reason;
} bad_trusts[] = {
    {"a CA file that is not there", "/no/such.pem", NULL, NULL, NULL,
     "cannot read the CA certificates in \"/no/such.pem\": No such file or directory"},
    {"a CA directory that is not there", NULL, "/no/such", NULL, NULL,
     "cannot read the CA directory \"/no/such\": No such file or directory"},
    {"a CA directory that is not hashed", NULL, "/proc/self", NULL, NULL,
     "the CA directory \"/proc/self\" holds no hashed certificate"},
    {"a client certificate that is not there", NULL, NULL, "/no/such.pem", NULL,
     "cannot read the client certificate \"/no/such.pem\": No such file or directory"},
    {"a client key that is not there", NULL, NULL, "/proc/self/maps", "/no/such.key",
     "cannot read the client key \"/no/such.key\": No such file or directory"},
};

static void
a_client_with_files_that_are_not_there_is_not_made(void **state)
{
    const struct bad_trust *row = *state;
    struct hs_http *http = NULL;
    hsmart_err err = {0};
    struct hs_http_options options = {.ca_file = row->ca_file,
                                      .ca_directory = row->ca_directory,
                                      .client_certificate = row->certificate,
                                      .client_key = row->key};

    assert_int_equal(hs_http_new(&options, &http, &err), HSMART_FILE_UNREADABLE);
    assert_string_equal(err.text, row->reason);
    assert_null(http);
}

static void
a_ca_file_without_certificates_is_told(void **state)
{
    (void)state;
    const char *base = tls_server("TLS_GOOD");
    struct hs_http *http = client(&(struct hs_http_options){.ca_file = tls_server("TLS_LOG")});
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    assert_int_equal(get(http, base, "/", &response, &err), HSMART_FILE_UNREADABLE);
    assert_non_null(strstr(err.text, "the CA certificates cannot be read"));
    hs_http_free(http);
}

static void
a_client_certificate_is_shown_when_there_is_one(void **state)
{
    (void)state;
    const char *base = tls_server("TLS_MUTUAL");
    struct hs_http *without = trusting_client();
    struct hs_http *with = client(&(struct hs_http_options){.ca_file = tls_server("TLS_CA"),
                                                            .client_certificate = tls_server("TLS_CLIENT_CERT"),
                                                            .client_key = tls_server("TLS_CLIENT_KEY")});
    struct hs_http_response response = {0};

    assert_int_equal(get(without, base, "/headers", &response, NULL), HSMART_OK);
    assert_int_equal(response.status, 400); /* nginx does the handshake, and refuses then */
    assert_int_equal(get(with, base, "/headers", &response, NULL), HSMART_OK);
    assert_int_equal(response.status, 200);
    hs_http_response_clear(&response);
    hs_http_free(without);
    hs_http_free(with);
}

static void
a_client_certificate_with_the_key_of_another_is_told(void **state)
{
    (void)state;
    const char *base = tls_server("TLS_MUTUAL");
    struct hs_http *http = client(&(struct hs_http_options){.ca_file = tls_server("TLS_CA"),
                                                            .client_certificate = tls_server("TLS_CLIENT_CERT"),
                                                            .client_key = tls_server("TLS_KEY")});
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    assert_int_equal(get(http, base, "/headers", &response, &err), HSMART_FILE_UNREADABLE);
    assert_non_null(strstr(err.text, "the client certificate or its key cannot be used"));
    hs_http_free(http);
}

/* ---- Plain http ---- */

static struct plain {
    const char *name, *url;
    bool flag;
    const char *reason;
} plains[] = {
    {"this machine, without the flag", "http://127.0.0.1:1/" SECRET, false, "http://127.0.0.1:1 is not https"},
    {"its name, without the flag", "http://localhost:1/" SECRET, false, "http://localhost:1 is not https"},
    {"another machine, with the flag", "http://192.0.2.1/" SECRET, true, "http://192.0.2.1 is not https"},
    {"another name, with the flag", "http://ehr.invalid/" SECRET, true, "http://ehr.invalid is not https"},
    {"a name that begins like this machine", "http://127.0.0.1.invalid/", true,
     "http://127.0.0.1.invalid is not https"},
    {"a name that ends like this machine", "http://x.localhost/", true, "http://x.localhost is not https"},
    {"an IPv6 address that is not this machine", "http://[2001:db8::1]/", true, "http://[2001:db8::1] is not https"},
    {"every address of this machine", "http://0.0.0.0/", true, "http://0.0.0.0 is not https"},
};

static void
plain_http_goes_nowhere(void **state)
{
    const struct plain *row = *state;
    struct hs_http *http = client(&(struct hs_http_options){.allow_http_to_loopback = row->flag});
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    assert_int_equal(get(http, row->url, "", &response, &err), HSMART_INVALID_ARGUMENT);
    assert_string_equal(err.text, row->reason);
    hs_http_free(http);
}

/* This machine under an address that others could have: nobody may knock there. */
static void
plain_http_to_another_address_sends_no_packet(void **state)
{
    (void)state;
    struct scripted_server server;
    struct scripted_reply reply = {.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    struct ifaddrs *addresses = NULL;
    char host[64] = "";
    struct hs_buf url = {0};
    struct hs_http_response response = {0};

    assert_int_equal(getifaddrs(&addresses), 0);
    for (struct ifaddrs *address = addresses; address != NULL && host[0] == 0; address = address->ifa_next)
        if (address->ifa_addr != NULL && address->ifa_addr->sa_family == AF_INET &&
            strncmp(address->ifa_name, "lo", 2) != 0)
            (void)getnameinfo(address->ifa_addr, sizeof(struct sockaddr_in), host, sizeof host, NULL, 0,
                              NI_NUMERICHOST);
    freeifaddrs(addresses);
    if (host[0] == 0)
        skip();
    scripted_server_start(&server, "0.0.0.0", &reply, 1);
    struct hs_http *http = plain_client();
    assert_int_equal(hs_buf_append_format(&url, NULL, "http://%s:%u/", host, server.port), HSMART_OK);
    assert_int_equal(get(http, hs_buf_text(&url), "", &response, NULL), HSMART_INVALID_ARGUMENT);
    scripted_server_stop(&server);
    assert_int_equal(server.connection_count, 0);
    scripted_server_clear(&server);
    hs_buf_clear(&url);
    hs_http_free(http);
}

static void
plain_http_to_this_machine_works_with_the_flag(void **state)
{
    (void)state;
    const char *base = tls_server("TLS_PLAIN");
    struct hs_http *http = plain_client();
    struct hs_http_response response = {0};
    struct hs_buf by_name = {0};

    assert_int_equal(get(http, base, "/headers", &response, NULL), HSMART_OK);
    assert_int_equal(response.status, 200);
    assert_int_equal(hs_buf_append_format(&by_name, NULL, "http://localhost%s", strrchr(base, ':')), HSMART_OK);
    assert_int_equal(get(http, hs_buf_text(&by_name), "/headers", &response, NULL), HSMART_OK);
    assert_int_equal(response.status, 200);
    hs_http_response_clear(&response);
    hs_buf_clear(&by_name);
    hs_http_free(http);
}

static void
https_to_an_http_port_is_told(void **state)
{
    (void)state;
    const char *port = strrchr(tls_server("TLS_PLAIN"), ':');
    struct hs_buf base = {0};
    struct hs_http *http = plain_client();
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_buf_append_format(&base, NULL, "https://127.0.0.1%s", port), HSMART_OK);
    assert_int_equal(get(http, hs_buf_text(&base), "/", &response, &err), HSMART_TLS_FAILED);
    assert_non_null(strstr(err.text, "it speaks no TLS on this port"));
    hs_buf_clear(&base);
    hs_http_free(http);
}

/* ---- What is sent ---- */

static void
the_request_on_the_wire_is_what_was_asked_for(void **state)
{
    (void)state;
    struct scripted_server server;
    struct scripted_reply reply = {.text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"};
    struct hs_http *http = plain_client();
    struct hs_http_response response = {0};
    struct hs_buf url = {0}, body = {0};

    scripted_server_start(&server, "127.0.0.1", &reply, 1);
    assert_int_equal(hs_buf_resize(&body, 1100000, NULL), HSMART_OK); /* from 1 MiB on libcurl sends Expect: */
    memset(body.data, 'b', body.len);
    struct hs_http_request request = {
        .method = "POST",
        .url = loopback_url(&url, &server, "/token?x=1%202"),
        .headers = {{"Accept", "application/json"}, {"Content-Type", "application/x-www-form-urlencoded"}},
        .body = hs_span_buf(&body)};
    assert_int_equal(hs_http_exchange(http, &request, &response, NULL), HSMART_OK);
    assert_int_equal(response.status, 200);
    assert_string_equal(hs_buf_text(&response.body), "{}");
    scripted_server_stop(&server);

    const char *sent = hs_buf_text(&server.requests);
    assert_int_equal(strncmp(sent, "POST /token?x=1%202 HTTP/1.1\r\n", 30), 0);
    assert_non_null(strstr(sent, "\r\nAccept: application/json\r\n"));
    assert_non_null(strstr(sent, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    assert_non_null(strstr(sent, "\r\nContent-Length: 1100000\r\n"));
    assert_non_null(strstr(sent, "\r\nUser-Agent: hsmart/"));
    assert_null(strstr(sent, "Expect"));
    assert_null(strstr(sent, "Authorization"));
    assert_null(strstr(sent, "Cookie"));
    assert_int_equal(server.requests.len - (size_t)(strstr(sent, "\r\n\r\n") + 4 - sent), 1100000);
    scripted_server_clear(&server);
    hs_http_response_clear(&response);
    hs_buf_clear(&url);
    hs_buf_clear(&body);
    hs_http_free(http);
}

/* Nothing of one request is left for the next on the same handle. */
static void
headers_are_forgotten_after_a_request(void **state)
{
    (void)state;
    const char *base = tls_server("TLS_GOOD");
    struct hs_buf url = {0};
    struct hs_http *http = trusting_client();
    struct hs_http_response response = {0};
    struct hs_http_request request = {.method = "POST",
                                      .url = url_of(&url, base, "/headers"),
                                      .headers = {{"Authorization", "Bearer " SECRET}, {"X-Test", "yes"}},
                                      .body = span("a=b")};

    assert_int_equal(hs_http_exchange(http, &request, &response, NULL), HSMART_OK);
    assert_non_null(strstr(hs_buf_text(&response.body), "test=yes cookie= authorization=Bearer " SECRET));
    assert_int_equal(get(http, base, "/headers", &response, NULL), HSMART_OK);
    assert_int_equal(strncmp(hs_buf_text(&response.body), "method=GET ", 11), 0);
    assert_non_null(strstr(hs_buf_text(&response.body), "test= cookie= authorization= protocol=HTTP/1.1"));
    hs_http_response_clear(&response);
    hs_buf_clear(&url);
    hs_http_free(http);
}

static struct bad_request {
    const char *name;
    struct hs_http_request request;
    const char *reason;
} bad_requests[] = {
    {"a line end in a header",
     {.method = "GET", .url = "https://h.invalid/", .headers = {{"Authorization", "Bearer " SECRET "\r\nX: y"}}},
     "the value of the header \"Authorization\" is empty, too long, or has a control character"},
    {"a line feed in a header",
     {.method = "GET", .url = "https://h.invalid/", .headers = {{"A", "b\nX: y"}}},
     "the value of the header \"A\" is empty, too long, or has a control character"},
    {"a header without a value",
     {.method = "GET", .url = "https://h.invalid/", .headers = {{"A", ""}}},
     "the value of the header \"A\" is empty, too long, or has a control character"},
    {"a header name with a colon",
     {.method = "GET", .url = "https://h.invalid/", .headers = {{"A: " SECRET, "b"}}},
     "a header has a name that no header can have"},
    {"an unknown method", {.method = "get", .url = "https://h.invalid/"}, "the method must be GET, POST or DELETE"},
    {"no method", {.url = "https://h.invalid/"}, "the method must be GET, POST or DELETE"},
    {"a body where none belongs",
     {.method = "GET", .url = "https://h.invalid/", .body = {(const uint8_t *)"a", 1}},
     "a GET request has no body"},
    {"a fragment",
     {.method = "GET", .url = "https://h.invalid/" SECRET "#a"},
     "the URL has a fragment (\"#\"), which is never sent"},
    {"an empty fragment",
     {.method = "GET", .url = "https://h.invalid/#"},
     "the URL has a fragment (\"#\"), which is never sent"},
    {"a user",
     {.method = "GET", .url = "https://u:" SECRET "@h.invalid/"},
     "the URL has user information before its host"},
    {"another scheme", {.method = "GET", .url = "ftp://h.invalid/" SECRET}, "the URL does not begin with https://"},
};

static void
a_bad_request_is_refused_before_it_is_sent(void **state)
{
    const struct bad_request *row = *state;
    struct hs_http *http = client(NULL);
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_http_exchange(http, &row->request, &response, &err), HSMART_INVALID_ARGUMENT);
    assert_string_equal(err.text, row->reason);
    hs_http_free(http);
}

/* ---- What comes back ---- */

static void
a_redirect_is_not_followed(void **state)
{
    (void)state;
    struct hs_http *http = trusting_client();
    struct hs_http_response response = {0};
    struct hs_buf log = {0};

    assert_int_equal(get(http, tls_server("TLS_GOOD"), "/redirect", &response, NULL), HSMART_OK);
    assert_int_equal(response.status, 302);
    assert_true(hs_http_header_of(&response, "Location").len > 0);
    for (int i = 0; i < 200 && strstr(hs_buf_text(&log), "GET /redirect 302") == NULL; i++) {
        hs_clock_sleep_ms(25); /* nginx writes it after it has answered */
        assert_int_equal(hs_file_read(tls_server("TLS_LOG"), HS_BUF_MAX_DEFAULT, &log, NULL), HSMART_OK);
    }
    assert_non_null(strstr(hs_buf_text(&log), "GET /redirect 302"));
    assert_null(strstr(hs_buf_text(&log), "/target"));
    hs_buf_clear(&log);
    hs_http_response_clear(&response);
    hs_http_free(http);
}

static struct answer {
    const char *name, *text;
    size_t filler_len;
    enum scripted_then then;
    int status;
    const char *body, *header; /* the value of X-Test */
} answers[] = {
    {"an ordinary one", "HTTP/1.1 200 OK\r\nX-Test: a\r\nContent-Length: 2\r\n\r\nok", 0, SCRIPTED_KEEP, 200, "ok",
     "a"},
    {"HTTP/1.0, until the connection ends", "HTTP/1.0 200 OK\r\nX-Test: a\r\n\r\nok", 0, SCRIPTED_CLOSE, 200, "ok",
     "a"},
    {"chunks", "HTTP/1.1 200 OK\r\nX-Test: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", 0,
     SCRIPTED_KEEP, 200, "ok", "a"},
    {"trailers are not headers",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Test: trailer\r\n\r\n", 0, SCRIPTED_KEEP,
     200, "ok", ""},
    {"100 Continue before it",
     "HTTP/1.1 100 Continue\r\nX-Test: interim\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0, SCRIPTED_KEEP,
     200, "ok", ""},
    {"103 Early Hints before it",
     "HTTP/1.1 103 Early Hints\r\nX-Test: interim\r\n\r\nHTTP/1.1 400 Bad Request\r\nX-Test: final\r\nContent-Length: "
     "2\r\n\r\nno",
     0, SCRIPTED_KEEP, 400, "no", "final"},
    {"no body", "HTTP/1.1 204 No Content\r\nX-Test: a\r\n\r\n", 0, SCRIPTED_KEEP, 204, "", "a"},
    {"401 without more", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Basic\r\n\r\n", 0,
     SCRIPTED_KEEP, 401, "", ""},
    {"a status that nobody knows", "HTTP/1.1 799 What\r\nContent-Length: 0\r\n\r\n", 0, SCRIPTED_KEEP, 799, "", ""},
    {"bytes that are no text", "HTTP/1.1 200 OK\r\nX-Test: \xff\x1b[31m\r\nContent-Length: 1\r\n\r\n\xfe", 0,
     SCRIPTED_KEEP, 200, "\xfe", "\xff\x1b[31m"},
    {"a gzip that was not asked for", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", 0,
     SCRIPTED_KEEP, 200, "ok", ""},
};

static void
an_answer_is_told_as_it_is(void **state)
{
    const struct answer *row = *state;
    struct scripted_server server;
    struct scripted_reply reply = {row->text, row->then, row->filler_len};
    struct hs_http *http = plain_client();
    struct hs_http_response response = {0};
    struct hs_buf url = {0};
    hsmart_err err = {0};

    scripted_server_start(&server, "127.0.0.1", &reply, 1);
    if (get(http, loopback_url(&url, &server, "/"), "", &response, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    scripted_server_stop(&server);
    assert_int_equal(response.status, row->status);
    assert_string_equal(hs_buf_text(&response.body), row->body);
    assert_header(&response, "X-Test", row->header);
    assert_true(response.received_at_s >= response.sent_at_s);
    assert_true(response.sent_at_s > 1700000000);
    scripted_server_clear(&server);
    hs_http_response_clear(&response);
    hs_buf_clear(&url);
    hs_http_free(http);
}

static struct bad_answer {
    const char *name, *text;
    size_t filler_len;
    enum scripted_then then;
    enum hsmart_code code;
    const char *reason; /* after "no usable answer from http://127.0.0.1:PORT: " */
} bad_answers[] = {
    {"nothing", "", 0, SCRIPTED_CLOSE, HSMART_SERVER_FAILED, "it closed the connection without an answer"},
    {"what is not HTTP", "SSH-2.0-OpenSSH_9.2\r\n", 0, SCRIPTED_CLOSE, HSMART_SERVER_FAILED, "its answer is not HTTP"},
    {"half a status line", "HTTP/1.", 0, SCRIPTED_CLOSE, HSMART_SERVER_FAILED,
     "it closed the connection without an answer"},
    {"half a header", "HTTP/1.1 200 OK\r\nConten", 0, SCRIPTED_CLOSE, HSMART_SERVER_FAILED, "its answer is cut off"},
    {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", 0, SCRIPTED_CLOSE, HSMART_SERVER_FAILED,
     "its answer is cut off"},
    {"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12", 0, SCRIPTED_CLOSE,
     HSMART_SERVER_FAILED, "its answer is cut off"},
    {"a chunk that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 0, SCRIPTED_CLOSE,
     HSMART_SERVER_FAILED, "its answer is cut off or malformed"},
    {"a line without a colon", "HTTP/1.1 200 OK\r\nrubbish\r\n\r\n", 0, SCRIPTED_CLOSE, HSMART_SERVER_FAILED,
     "its answer is not HTTP"},
    {"a Content-Length that is none", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 0, SCRIPTED_CLOSE,
     HSMART_SERVER_FAILED, "its answer is not HTTP"},
    {"too long by its own word", "HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n", 0, SCRIPTED_CLOSE,
     HSMART_SERVER_FAILED, "its answer is longer than the 1048576 bytes allowed"},
    {"too long without a word", "HTTP/1.1 200 OK\r\n\r\n", 2000000, SCRIPTED_CLOSE, HSMART_SERVER_FAILED,
     "its answer is longer than the 1048576 bytes allowed"},
    {"a header of 80 KB", "HTTP/1.1 200 OK\r\nA: ", 80000, SCRIPTED_CLOSE, HSMART_SERVER_FAILED,
     "its answer is cut off"},
    {"a header of 500 KB", "HTTP/1.1 200 OK\r\nA: ", 500000, SCRIPTED_CLOSE, HSMART_SERVER_FAILED,
     "the headers of its answer are too long"},
};

static void
a_bad_answer_is_told(void **state)
{
    const struct bad_answer *row = *state;
    struct scripted_server server;
    struct scripted_reply reply = {row->text, row->then, row->filler_len};
    struct hs_http *http = plain_client();
    struct hs_http_response response = {.status = 42};
    struct hs_buf url = {0}, text = {0};
    hsmart_err err = {0};

    scripted_server_start(&server, "127.0.0.1", &reply, 1);
    enum hsmart_code code = get(http, loopback_url(&url, &server, "/" SECRET), "", &response, &err);
    scripted_server_stop(&server);
    assert_int_equal(
        hs_buf_append_format(&text, NULL, "no usable answer from http://127.0.0.1:%u: %s", server.port, row->reason),
        HSMART_OK);
    assert_string_equal(err.text, hs_buf_text(&text));
    assert_int_equal(code, row->code);
    assert_int_equal(response.status, 42);
    scripted_server_clear(&server);
    hs_buf_clear(&url);
    hs_buf_clear(&text);
    hs_http_free(http);
}

static void
many_headers_are_refused(void **state)
{
    (void)state;
    struct scripted_server server;
    struct hs_buf text = {0}, url = {0};
    struct hs_http *http = plain_client();
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_buf_append_str(&text, "HTTP/1.1 200 OK\r\n", NULL), HSMART_OK);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(hs_buf_append_format(&text, NULL, "X-%d: 0123456789\r\n", i), HSMART_OK);
    assert_int_equal(hs_buf_append_str(&text, "Content-Length: 0\r\n\r\n", NULL), HSMART_OK);
    struct scripted_reply reply = {.text = hs_buf_text(&text), .then = SCRIPTED_CLOSE};
    scripted_server_start(&server, "127.0.0.1", &reply, 1);
    assert_int_equal(get(http, loopback_url(&url, &server, "/"), "", &response, &err), HSMART_SERVER_FAILED);
    assert_non_null(strstr(err.text, "the headers of its answer are too long"));
    scripted_server_stop(&server);
    scripted_server_clear(&server);
    hs_buf_clear(&text);
    hs_buf_clear(&url);
    hs_http_free(http);
}

static struct size {
    const char *name, *path;
    size_t len, max_len;
    bool fits;
} sizes[] = {
    {"200 KiB", "/200k.json", 200 << 10, 0, true},
    {"1 MiB", "/1m.json", 1 << 20, 0, true},
    {"one byte more", "/1m1.json", (1 << 20) + 1, 0, false},
    {"2 MiB", "/2m.json", 2 << 20, 0, false},
    {"2 MiB where more is allowed", "/2m.json", 2 << 20, 3 << 20, true},
    {"100 bytes where 99 are allowed", "/100.json", 100, 99, false},
    {"nothing", "/0.json", 0, 1, true},
};

static void
an_answer_has_a_limit(void **state)
{
    const struct size *row = *state;
    struct hs_buf url = {0};
    struct hs_http *http = trusting_client();
    struct hs_http_response response = {0};
    struct hs_http_request request = {
        .method = "GET", .url = url_of(&url, tls_server("TLS_GOOD"), row->path), .max_response_len = row->max_len};
    hsmart_err err = {0};

    make_file(row->path + 1, row->len);
    assert_int_equal(hs_http_exchange(http, &request, &response, &err), row->fits ? HSMART_OK : HSMART_SERVER_FAILED);
    if (row->fits) {
        assert_int_equal(response.body.len, row->len);
        assert_int_equal(hs_http_cache_life_s(&response), 60);
        assert_header(&response, "Content-Type", "application/json");
    } else {
        assert_non_null(strstr(err.text, "its answer is longer than the "));
    }
    hs_http_response_clear(&response);
    hs_buf_clear(&url);
    hs_http_free(http);
}

/* ---- Time ---- */

static void
a_slow_answer_hits_the_timeout(void **state)
{
    (void)state;
    struct hs_buf url = {0};
    struct hs_http *http = trusting_client();
    struct hs_http_response response = {0};
    struct hs_http_request request = {
        .method = "GET", .url = url_of(&url, tls_server("TLS_GOOD"), "/slow/100k.json"), .timeout_ms = 500};
    hsmart_err err = {0};
    int64_t started_ms = hs_clock_monotonic_ms();

    make_file("100k.json", 100 << 10);
    assert_int_equal(hs_http_exchange(http, &request, &response, &err), HSMART_NETWORK_FAILED);
    assert_non_null(strstr(err.text, "its answer was not complete after 0.5 s"));
    assert_in_range((uintmax_t)(hs_clock_monotonic_ms() - started_ms), 400, 3000);
    hs_buf_clear(&url);
    hs_http_free(http);
}

static struct stall {
    const char *name, *scheme, *text, *reason;
} stalls[] = {
    {"no answer", "http", "", "it did not answer after 0.3 s"},
    {"half an answer", "http", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1",
     "its answer was not complete after 0.3 s"},
    {"no TLS handshake", "https", "", "the TLS handshake was not complete after 0.3 s"},
};

static void
a_server_that_stalls_hits_the_timeout(void **state)
{
    const struct stall *row = *state;
    struct scripted_server server;
    struct scripted_reply reply = {.text = row->text, .then = SCRIPTED_STALL};
    struct hs_http *http = plain_client();
    struct hs_http_response response = {0};
    struct hs_buf url = {0}, text = {0};
    hsmart_err err = {0};

    scripted_server_start(&server, "127.0.0.1", &reply, 1);
    assert_int_equal(hs_buf_append_format(&url, NULL, "%s://127.0.0.1:%u", row->scheme, server.port), HSMART_OK);
    struct hs_http_request request = {.method = "GET", .url = hs_buf_text(&url), .timeout_ms = 300};
    assert_int_equal(hs_http_exchange(http, &request, &response, &err), HSMART_NETWORK_FAILED);
    scripted_server_stop(&server);
    assert_int_equal(hs_buf_append_format(&text, NULL, "cannot reach %s: %s", hs_buf_text(&url), row->reason),
                     HSMART_OK);
    assert_string_equal(err.text, hs_buf_text(&text));
    scripted_server_clear(&server);
    hs_buf_clear(&url);
    hs_buf_clear(&text);
    hs_http_free(http);
}

/* A listener whose queue is full drops who comes next. */
static void
a_connection_that_does_not_come_hits_the_timeout(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), fillers[3];
    struct hs_http *http = client(&(struct hs_http_options){.connect_timeout_ms = 300});
    struct hs_http_response response = {0};
    struct hs_buf url = {0};
    hsmart_err err = {0};

    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    for (size_t i = 0; i < HS_ARRAY_LEN(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, sizeof address);
    }
    assert_int_equal(hs_buf_append_format(&url, NULL, "https://127.0.0.1:%u", ntohs(address.sin_port)), HSMART_OK);
    assert_int_equal(get(http, hs_buf_text(&url), "/", &response, &err), HSMART_NETWORK_FAILED);
    assert_non_null(strstr(err.text, ": there was no connection after 0.3 s"));
    for (size_t i = 0; i < HS_ARRAY_LEN(fillers); i++)
        (void)close(fillers[i]);
    (void)close(listener);
    hs_buf_clear(&url);
    hs_http_free(http);
}

/* ---- The way there ---- */

static void
a_port_where_nobody_listens_is_told(void **state)
{
    (void)state;
    struct hs_http *http = plain_client();
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    assert_int_equal(get(http, "http://127.0.0.1:1", "/" SECRET, &response, &err), HSMART_NETWORK_FAILED);
    assert_string_equal(err.text, "cannot reach http://127.0.0.1:1: no connection: Connection refused");
    hs_http_free(http);
}

static void
a_name_that_does_not_exist_is_told(void **state)
{
    (void)state;
    struct hs_http *http = client(NULL);
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    assert_int_equal(get(http, "https://ehr.invalid", "/" SECRET, &response, &err), HSMART_NETWORK_FAILED);
    assert_string_equal(err.text, "cannot reach https://ehr.invalid: its name cannot be resolved");
    hs_http_free(http);
}

#define SLOW_HOST "slow.invalid"
#define SLOW_MS 8000U

/* A resolver whose servers do not answer. libcurl finds this one first. */
__attribute__((visibility("default"))) int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out_addresses)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");

    if (node != NULL && strcmp(node, SLOW_HOST) == 0) {
        hs_clock_sleep_ms(SLOW_MS);
        return EAI_AGAIN;
    }
    memcpy(&real, &symbol, sizeof real);
    return real(node, service, hints, out_addresses);
}

static void
a_name_that_is_not_resolved_hits_the_timeout(void **state)
{
    (void)state;
    struct hs_http *http = client(NULL);
    struct hs_http_response response = {0};
    struct hs_http_request request = {.method = "GET", .url = "https://" SLOW_HOST "/", .timeout_ms = 300};
    hsmart_err err = {0};
    int64_t started_ms = hs_clock_monotonic_ms();

    assert_int_equal(hs_http_exchange(http, &request, &response, &err), HSMART_NETWORK_FAILED);
    hs_http_free(http);
    assert_true(hs_clock_monotonic_ms() - started_ms < SLOW_MS);
    if (strstr(err.text, "its name was not resolved after ") == NULL)
        fail_msg("%s", err.text);
}

static void
a_proxy_that_cannot_be_reached_is_hinted_at(void **state)
{
    (void)state;
    struct hs_http *http = trusting_client();
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    assert_int_equal(setenv("https_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(get(http, "https://ehr.invalid", "/x", &response, &err), HSMART_NETWORK_FAILED);
    assert_int_equal(unsetenv("https_proxy"), 0);
    assert_non_null(strstr(err.text, "no connection"));
    assert_non_null(strstr(err.hint, "the proxy where https_proxy names one"));
    hs_http_response_clear(&response);
    hs_http_free(http);
}

static void
a_proxy_is_used_for_others_and_never_for_this_machine(void **state)
{
    (void)state;
    struct scripted_server proxy;
    struct scripted_reply reply = {.text = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
                                   .then = SCRIPTED_CLOSE};
    struct hs_http *http = trusting_client();
    struct hs_http_response response = {0};
    struct hs_buf url = {0};
    hsmart_err err = {0};

    scripted_server_start(&proxy, "127.0.0.1", &reply, 1);
    assert_int_equal(setenv("https_proxy", loopback_url(&url, &proxy, ""), 1), 0);
    assert_int_equal(setenv("http_proxy", loopback_url(&url, &proxy, ""), 1), 0);
    assert_int_equal(get(http, tls_server("TLS_GOOD"), "/headers", &response, NULL), HSMART_OK);
    assert_int_equal(get(http, tls_server("TLS_PLAIN"), "/headers", &response, NULL), HSMART_OK);
    assert_int_equal(get(http, "https://ehr.invalid", "/" SECRET, &response, &err), HSMART_NETWORK_FAILED);
    assert_int_equal(unsetenv("https_proxy"), 0);
    assert_int_equal(unsetenv("http_proxy"), 0);
    scripted_server_stop(&proxy);

    assert_string_equal(err.text, "cannot reach https://ehr.invalid: the proxy refuses the connection (status 407)");
    assert_int_equal(proxy.request_count, 1);
    assert_int_equal(strncmp(hs_buf_text(&proxy.requests), "CONNECT ehr.invalid:443 ", 24), 0);
    assert_null(strstr(hs_buf_text(&proxy.requests), SECRET));
    scripted_server_clear(&proxy);
    hs_http_response_clear(&response);
    hs_buf_clear(&url);
    hs_http_free(http);
}

/* ---- Connections ---- */

static void
a_connection_is_used_again(void **state)
{
    (void)state;
    struct hs_http *http = trusting_client();
    struct hs_http_response first = {0}, response = {0};

    assert_int_equal(get(http, tls_server("TLS_GOOD"), "/headers", &first, NULL), HSMART_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(get(http, tls_server("TLS_GOOD"), "/headers", &response, NULL), HSMART_OK);
        assert_true(
            hs_span_equal(hs_http_header_of(&response, "X-Connection"), hs_http_header_of(&first, "X-Connection")));
        /* another server between: its connection is kept beside */
        assert_int_equal(get(http, tls_server("TLS_PLAIN"), "/headers", &response, NULL), HSMART_OK);
    }
    hs_http_response_clear(&first);
    hs_http_response_clear(&response);
    hs_http_free(http);
}

static struct near_miss {
    const char *name, *before_host, *path;
    enum hsmart_code code;
} near_misses[] = {
    {"a fragment more", "", "/headers#", HSMART_INVALID_ARGUMENT},
    {"a character more that must be escaped", "", "/headers ", HSMART_INVALID_ARGUMENT},
    {"a user more", "u@", "/headers", HSMART_INVALID_ARGUMENT},
    {"a query more", "", "/headers?a=b", HSMART_OK},
    {"less", "", "/header", HSMART_OK},
};

/* What a URL says is remembered with the connection: of this URL only. */
static void
a_url_like_the_one_before_is_checked(void **state)
{
    const struct near_miss *row = *state;
    struct hs_http *http = trusting_client();
    struct hs_http_response response = {0};
    struct hs_buf url = {0};
    const char *authority = strstr(tls_server("TLS_GOOD"), "//") + 2;
    struct hs_http_request request = {.method = "GET"};

    for (int i = 0; i < 2; i++)
        assert_int_equal(get(http, tls_server("TLS_GOOD"), "/headers", &response, NULL), HSMART_OK);
    assert_int_equal(hs_buf_append_format(&url, NULL, "https://%s%s%s", row->before_host, authority, row->path),
                     HSMART_OK);
    request.url = hs_buf_text(&url);
    assert_int_equal(hs_http_exchange(http, &request, &response, NULL), row->code);
    hs_http_response_clear(&response);
    hs_buf_clear(&url);
    hs_http_free(http);
}

static void
a_connection_that_the_server_closed_is_replaced(void **state)
{
    (void)state;
    struct hs_http *http = trusting_client();
    struct hs_http_response first = {0}, second = {0};
    struct hs_buf url = {0};
    struct hs_http_request request = {
        .method = "POST", .url = url_of(&url, tls_server("TLS_SHORT"), "/headers"), .body = span("a=b")};

    assert_int_equal(hs_http_exchange(http, &request, &first, NULL), HSMART_OK);
    hs_clock_sleep_ms(500);
    assert_int_equal(hs_http_exchange(http, &request, &second, NULL), HSMART_OK);
    assert_int_equal(second.status, 200);
    assert_false(hs_span_equal(hs_http_header_of(&first, "X-Connection"), hs_http_header_of(&second, "X-Connection")));
    hs_http_response_clear(&first);
    hs_http_response_clear(&second);
    hs_buf_clear(&url);
    hs_http_free(http);
}

static struct ending {
    const char *name, *server;
    struct hs_http_header header;
    unsigned rest_ms;
} endings[] = {
    {"one that was closed while it rested", "TLS_SHORT", {NULL, NULL}, 500},
    {"one that was closed with its answer", "TLS_GOOD", {"Connection", "close"}, 0},
};

/* A new connection after one that has ended costs no full handshake. */
static void
a_session_is_resumed(void **state)
{
    const struct ending *row = *state;
    struct hs_http *http = trusting_client();
    struct hs_http_response first = {0}, second = {0};
    struct hs_buf url = {0};
    struct hs_http_request request = {
        .method = "GET", .url = url_of(&url, tls_server(row->server), "/headers"), .headers = {row->header}};

    assert_int_equal(hs_http_exchange(http, &request, &first, NULL), HSMART_OK);
    hs_clock_sleep_ms(row->rest_ms);
    assert_int_equal(hs_http_exchange(http, &request, &second, NULL), HSMART_OK);
    assert_false(
        hs_span_equal(hs_http_header_of(&first, "X-Connection"), hs_http_header_of(&second, "X-Connection")));
    assert_true(hs_span_equal_str(hs_http_header_of(&first, "X-Session"), "."));
    assert_true(hs_span_equal_str(hs_http_header_of(&second, "X-Session"), "r"));
    hs_http_response_clear(&first);
    hs_http_response_clear(&second);
    hs_buf_clear(&url);
    hs_http_free(http);
}

static struct stale {
    const char *name, *method;
    struct hs_span body;
    enum hsmart_code code;
    unsigned request_count;
} stales[] = {
    {"a GET is repeated", "GET", {0}, HSMART_OK, 3},
    {"a POST is not: its assertion is used for one attempt only",
     "POST",
     {(const uint8_t *)"a=b", 3},
     HSMART_NETWORK_FAILED,
     2},
    {"a POST without a body is not", "POST", {0}, HSMART_NETWORK_FAILED, 2},
};

/* The server reads the second request on a kept connection and closes it: it may have done what was asked. */
static void
a_request_on_a_kept_connection_that_is_closed(void **state)
{
    const struct stale *row = *state;
    static const struct scripted_reply replies[] = {
        {.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .then = SCRIPTED_KEEP},
        {.text = "", .then = SCRIPTED_CLOSE},
        {.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .then = SCRIPTED_KEEP},
    };
    struct scripted_server server;
    struct hs_http *http = plain_client();
    struct hs_http_response response = {0};
    struct hs_buf url = {0};
    hsmart_err err = {0};

    scripted_server_start(&server, "127.0.0.1", replies, HS_ARRAY_LEN(replies));
    struct hs_http_request request = {
        .method = row->method, .url = loopback_url(&url, &server, "/"), .body = row->body};
    assert_int_equal(hs_http_exchange(http, &request, &response, &err), HSMART_OK);
    assert_int_equal(hs_http_exchange(http, &request, &response, &err), row->code);
    if (row->code != HSMART_OK)
        assert_non_null(strstr(err.text, "the kept connection was closed before an answer came"));
    scripted_server_stop(&server);
    assert_int_equal(server.request_count, row->request_count);
    scripted_server_clear(&server);
    hs_http_response_clear(&response);
    hs_buf_clear(&url);
    hs_http_free(http);
}

/* ---- Threads ---- */

#define THREADS 8
#define EXCHANGES 20
struct worker {
    struct hs_http *http;
    const char *url;
    unsigned good;
    long connections[EXCHANGES];
};

static void *
work(void *arg)
{
    struct worker *worker = arg;

    for (int i = 0; i < EXCHANGES; i++) {
        struct hs_http_response response = {0};
        struct hs_http_request request = {.method = "POST", .url = worker->url, .body = span("a=b")};
        if (hs_http_exchange(worker->http, &request, &response, NULL) == HSMART_OK && response.status == 200) {
            struct hs_span connection = hs_http_header_of(&response, "X-Connection");
            worker->connections[i] = strtol((const char *)connection.data, NULL, 10);
            worker->good++;
        }
        hs_http_response_clear(&response);
    }
    return NULL;
}

static void
eight_threads_share_a_client(void **state)
{
    (void)state;
    struct hs_http *http = trusting_client();
    struct hs_buf url = {0};
    struct worker workers[THREADS] = {0};
    pthread_t threads[THREADS];
    long seen[THREADS * EXCHANGES];
    size_t seen_count = 0;

    (void)url_of(&url, tls_server("TLS_GOOD"), "/headers");
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.http = http, .url = hs_buf_text(&url)};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].good, EXCHANGES);
        for (size_t j = 0; j < EXCHANGES; j++) {
            size_t k = 0;
            while (k < seen_count && seen[k] != workers[i].connections[j])
                k++;
            if (k == seen_count)
                seen[seen_count++] = workers[i].connections[j];
        }
    }
    assert_in_range(seen_count, 1, THREADS); /* connections for 160 exchanges */
    hs_buf_clear(&url);
    hs_http_free(http);
}

/* ---- What leaks ---- */

static void
collect(void *arg, enum hsmart_log_level level, const char *line)
{
    (void)level;
    assert_int_equal(hs_buf_append_format(arg, NULL, "%s\n", line), HSMART_OK);
}

static void
the_log_tells_the_exchange_and_no_secret(void **state)
{
    (void)state;
    const char *base = tls_server("TLS_GOOD");
    struct hs_buf log = {0}, url = {0}, start = {0};
    struct hs_http *http = client(&(struct hs_http_options){.ca_file = tls_server("TLS_CA"), .log = {collect, &log}});
    struct hs_http_response response = {0};
    struct hs_http_request request = {.method = "POST",
                                      .url = url_of(&url, base, "/headers?" SECRET),
                                      .headers = {{"Authorization", "Basic " SECRET}},
                                      .body = span(SECRET)};

    assert_int_equal(hs_http_exchange(http, &request, &response, NULL), HSMART_OK);
    assert_int_equal(hs_http_exchange(http, &request, &response, NULL), HSMART_OK);
    assert_int_equal(hs_buf_append_format(&start, NULL, "POST %s: status 200, ", base), HSMART_OK);
    assert_int_equal(strncmp(hs_buf_text(&log), hs_buf_text(&start), start.len), 0);
    assert_non_null(strstr(hs_buf_text(&log), ", new connection\n"));
    assert_non_null(strstr(hs_buf_text(&log), ", kept connection\n"));
    assert_null(strstr(hs_buf_text(&log), SECRET));
    hs_http_response_clear(&response);
    hs_buf_clear(&log);
    hs_buf_clear(&url);
    hs_buf_clear(&start);
    hs_http_free(http);
}

static void
a_kept_connection_is_not_inherited(void **state)
{
    (void)state;
    struct hs_http *http = trusting_client();
    struct hs_http_response response = {0};
    unsigned sockets = 0;

    assert_int_equal(get(http, tls_server("TLS_GOOD"), "/headers", &response, NULL), HSMART_OK);
    for (int fd = 3; fd < 256; fd++) {
        struct stat what;
        if (fstat(fd, &what) != 0 || !S_ISSOCK(what.st_mode))
            continue;
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0 || peer.ss_family != AF_INET)
            continue;
        sockets++;
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    assert_int_equal(sockets, 1);
    hs_http_response_clear(&response);
    hs_http_free(http);
}

int
main(void)
{
    static const char *const proxies[] = {"http_proxy", "https_proxy", "HTTPS_PROXY",   "all_proxy",   "ALL_PROXY",
                                          "no_proxy",   "NO_PROXY",    "SSL_CERT_FILE", "SSL_CERT_DIR"};
    struct rows rows = {0};

    for (size_t i = 0; i < HS_ARRAY_LEN(proxies); i++)
        (void)unsetenv(proxies[i]);
    ADD_TEST(&rows, libcurl_is_loaded_by_the_first_request_only);
    ADD_ROWS(&rows, a_server_has_to_be_who_it_should, handshakes);
    ADD_ROWS(&rows, certificates_come_from_where_they_should, trusts);
    ADD_ROWS(&rows, a_client_with_files_that_are_not_there_is_not_made, bad_trusts);
    ADD_TEST(&rows, a_ca_file_without_certificates_is_told);
    ADD_TEST(&rows, a_client_certificate_is_shown_when_there_is_one);
    ADD_TEST(&rows, a_client_certificate_with_the_key_of_another_is_told);
    ADD_ROWS(&rows, plain_http_goes_nowhere, plains);
    ADD_TEST(&rows, plain_http_to_another_address_sends_no_packet);
    ADD_TEST(&rows, plain_http_to_this_machine_works_with_the_flag);
    ADD_TEST(&rows, https_to_an_http_port_is_told);
    ADD_TEST(&rows, the_request_on_the_wire_is_what_was_asked_for);
    ADD_TEST(&rows, headers_are_forgotten_after_a_request);
    ADD_ROWS(&rows, a_bad_request_is_refused_before_it_is_sent, bad_requests);
    ADD_TEST(&rows, a_redirect_is_not_followed);
    ADD_ROWS(&rows, an_answer_is_told_as_it_is, answers);
    ADD_ROWS(&rows, a_bad_answer_is_told, bad_answers);
    ADD_TEST(&rows, many_headers_are_refused);
    ADD_ROWS(&rows, an_answer_has_a_limit, sizes);
    ADD_TEST(&rows, a_slow_answer_hits_the_timeout);
    ADD_ROWS(&rows, a_server_that_stalls_hits_the_timeout, stalls);
    ADD_TEST(&rows, a_connection_that_does_not_come_hits_the_timeout);
    ADD_TEST(&rows, a_port_where_nobody_listens_is_told);
    ADD_TEST(&rows, a_name_that_does_not_exist_is_told);
    ADD_TEST(&rows, a_name_that_is_not_resolved_hits_the_timeout);
    ADD_TEST(&rows, a_proxy_that_cannot_be_reached_is_hinted_at);
    ADD_TEST(&rows, a_proxy_is_used_for_others_and_never_for_this_machine);
    ADD_TEST(&rows, a_connection_is_used_again);
    ADD_ROWS(&rows, a_url_like_the_one_before_is_checked, near_misses);
    ADD_TEST(&rows, a_connection_that_the_server_closed_is_replaced);
    ADD_ROWS(&rows, a_session_is_resumed, endings);
    ADD_ROWS(&rows, a_request_on_a_kept_connection_that_is_closed, stales);
    ADD_TEST(&rows, eight_threads_share_a_client);
    ADD_TEST(&rows, the_log_tells_the_exchange_and_no_secret);
    ADD_TEST(&rows, a_kept_connection_is_not_inherited);
    if (rows.count == ROWS_MAX)
        return 1;
    return _cmocka_run_group_tests("http", rows.tests, rows.count, tls_servers_up, tls_servers_down);
}
