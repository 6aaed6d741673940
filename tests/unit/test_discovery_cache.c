/* A discovery document that is kept between processes, and the small lists of words that it is made of. */
#define _GNU_SOURCE /* mkdtemp, nftw */
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rows.h"

#include "discovery_cache.h"
#include "fake_exchange.h"
#include "file.h"

#define BASE "https://ehr.example/fhir"
#define DOCUMENT "{\"token_endpoint\":\"https://ehr.example/token\",\"scopes_supported\":[\"a\",\"b\"]}"

static int
remove_one(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
    (void)status, (void)flag, (void)ftw;
    return remove(path);
}

struct place {
    char path[64], file[160];
    struct hs_private_directory directory;
};

static void
place_make(struct place *place, const char *base)
{
    char *name = NULL;

    *place = (struct place){.path = "/tmp/hsmart-discovery-XXXXXX"};
    assert_non_null(mkdtemp(place->path));
    assert_int_equal(hs_private_directory_open(place->path, &place->directory, NULL), HSMART_OK);
    assert_int_equal(hs_private_name("discovery-", span(base), &name, NULL), HSMART_OK);
    (void)snprintf(place->file, sizeof place->file, "%s/%s", place->path, name);
    hs_string_free(name);
}

static void
place_remove(struct place *place)
{
    hs_private_directory_close(&place->directory);
    assert_int_equal(nftw(place->path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- What is kept, and for how long ---- */

static struct keeping {
    const char *name, *headers;
    int64_t after_s; /* when it is asked for again */
    unsigned requests;
} keepings[] = {
    {"for as long as Cache-Control says", "Cache-Control: max-age=60\r\n", 59, 1},
    {"and no longer", "Cache-Control: max-age=60\r\n", 60, 2},
    {"for five minutes where it does not say", "", 299, 1},
    {"and not for more", "", 300, 2},
    {"for a day at most", "Cache-Control: max-age=99999999\r\n", 86399, 1},
    {"and not for two", "Cache-Control: max-age=99999999\r\n", 86400, 2},
    {"no-store", "Cache-Control: no-store\r\n", 0, 2},
    {"a clock that went back", "Cache-Control: max-age=60\r\n", -1, 2},
};

static void
a_document_is_kept(void **state)
{
    const struct keeping *row = *state;
    struct fake_answer answers[] = {{NULL, 0, 0, 200, NULL, DOCUMENT, 0}};
    struct fake_exchange fake = FAKE_EXCHANGE(answers);
    struct hs_link link = fake_link(&fake);
    struct place place;
    char headers[200];

    (void)snprintf(headers, sizeof headers, "Content-Type: application/json\r\n%s", row->headers);
    answers[0].headers = headers;
    place_make(&place, BASE);
    for (int turn = 0; turn < 2; turn++) {
        struct hs_discovery discovery = {0};
        bool found = false;
        assert_int_equal(
            hs_discovery_cache_load(&place.directory, BASE, hs_link_now_s(&link), &found, &discovery, NULL), HSMART_OK);
        if (!found) {
            assert_int_equal(hs_discovery_fetch(&link, BASE, &discovery, NULL), HSMART_OK);
            assert_int_equal(hs_discovery_cache_save(&place.directory, BASE, &discovery, NULL), HSMART_OK);
        }
        assert_string_equal(discovery.token_endpoint, "https://ehr.example/token");
        assert_string_equal(discovery.url, BASE "/.well-known/smart-configuration");
        assert_true(hs_text_list_has(&discovery.scopes, "b"));
        hs_discovery_clear(&discovery);
        fake.now_s = FAKE_NOW_S + row->after_s;
    }
    assert_int_equal(fake.request_count, row->requests);
    fake_exchange_clear(&fake);
    place_remove(&place);
}

/* ---- A file that is not what it should be ---- */

static struct hostile {
    const char *name, *text;
    bool found;
} hostiles[] = {
    {"nothing wrong", "hsmart-discovery 1 1700000000 1700000060\n" DOCUMENT, true},
    {"empty", "", false},
    {"one line", "hsmart-discovery 1 1700000000 1700000060", false},
    {"garbage", "\x01\x02\n\xff", false},
    {"another format", "hsmart-discovery 2 1700000000 1700000060\n" DOCUMENT, false},
    {"no document", "hsmart-discovery 1 1700000000 1700000060\n", false},
    {"half a document", "hsmart-discovery 1 1700000000 1700000060\n{\"token_endpoint\":\"https://", false},
    {"no token endpoint", "hsmart-discovery 1 1700000000 1700000060\n{}", false},
    {"a token endpoint without TLS",
     "hsmart-discovery 1 1700000000 1700000060\n{\"token_endpoint\":\"http://127.0.0.1/\"}", false},
    {"kept for ever", "hsmart-discovery 1 1700000000 9223372036854775807\n" DOCUMENT, false},
    {"times that overflow", "hsmart-discovery 1 -9223372036854775808 9223372036854775807\n" DOCUMENT, false},
    {"numbers that are too long", "hsmart-discovery 1 1700000000 99999999999999999999999999\n" DOCUMENT, false},
    {"of the future", "hsmart-discovery 1 1700000001 1700000060\n" DOCUMENT, false},
    {"ended", "hsmart-discovery 1 1699999000 1700000000\n" DOCUMENT, false},
};

static void
a_hostile_file_is_only_a_cache(void **state)
{
    const struct hostile *row = *state;
    struct place place;
    struct hs_discovery discovery = {0};
    bool found = !row->found;

    place_make(&place, BASE);
    assert_int_equal(hs_file_write_atomic(place.file, span(row->text), 0600, NULL), HSMART_OK);
    assert_int_equal(hs_discovery_cache_load(&place.directory, BASE, FAKE_NOW_S, &found, &discovery, NULL), HSMART_OK);
    assert_int_equal(found, row->found);
    assert_int_equal(discovery.token_endpoint != NULL, row->found);
    hs_discovery_clear(&discovery);
    assert_int_equal(hs_discovery_cache_load(&place.directory, BASE "2", FAKE_NOW_S, &found, &discovery, NULL),
                     HSMART_OK);
    assert_false(found); /* each base has its own */
    hs_discovery_cache_forget(&place.directory, BASE);
    assert_int_equal(access(place.file, F_OK), -1);
    place_remove(&place);
}

static void
a_file_that_others_can_read_is_refused(void **state)
{
    (void)state;
    struct place place;
    struct hs_discovery discovery = {0};
    bool found = false;
    hsmart_err err = {0};

    place_make(&place, BASE);
    assert_int_equal(hs_file_write_atomic(place.file, span(hostiles[0].text), 0600, NULL), HSMART_OK);
    assert_int_equal(chmod(place.file, 0666), 0);
    assert_int_equal(hs_discovery_cache_load(&place.directory, BASE, FAKE_NOW_S, &found, &discovery, &err),
                     HSMART_FILE_UNREADABLE);
    assert_non_null(strstr(err.text, "is not a file of this user alone"));
    place_remove(&place);
}

/* ---- Lists ---- */

static void
a_list_grows_and_is_cleared(void **state)
{
    (void)state;
    struct hs_text_list list = {0};
    char word[16];

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(word, sizeof word, "w%d", i);
        assert_int_equal(hs_text_list_add(&list, word, NULL), HSMART_OK);
    }
    assert_int_equal(list.count, 1000);
    assert_true(hs_text_list_has(&list, "w999"));
    assert_false(hs_text_list_has(&list, "w"));
    assert_int_equal(hs_text_list_add_format(&list, NULL, "%s", "a\x1b[31m\nb"), HSMART_OK);
    assert_string_equal(list.items[1000], "a?[31m?b");
    hs_text_list_clear(&list);
    hs_text_list_clear(&list);
    assert_int_equal(list.count, 0);
}

static struct words {
    const char *name, *words, *word;
    bool there;
} words_rows[] = {
    {"the first", "a bc d", "a", true},          {"the last", "a bc d", "d", true},
    {"one in the middle", "a bc d", "bc", true}, {"a part of one", "a bc d", "b", false},
    {"more than one", "a bc d", "a bc", false},  {"none", NULL, "a", false},
    {"an empty list", "", "a", false},           {"spaces only", "   ", "", false},
    {"many spaces", "  a   b ", "b", true},
};

static void
a_word_is_found(void **state)
{
    const struct words *row = *state;

    assert_int_equal(hs_words_have(row->words, span(row->word)), row->there);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, a_document_is_kept, keepings);
    ADD_ROWS(&rows, a_hostile_file_is_only_a_cache, hostiles);
    ADD_TEST(&rows, a_file_that_others_can_read_is_refused);
    ADD_TEST(&rows, a_list_grows_and_is_cleared);
    ADD_ROWS(&rows, a_word_is_found, words_rows);
    return rows_run("discovery_cache", &rows);
}
