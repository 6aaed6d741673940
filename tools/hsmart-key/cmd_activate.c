/* hsmart-key activate: gives a staged key the day on which it takes over, once every cache must know it. */
#include <string.h>

#include "clock.h"
#include "err.h"
#include "family_view.h"
#include "jwks_fetch.h"
#include "report.h"
#include "text.h"
#include "verbs.h"

#define CACHE_LIFE_MAX_S (366 * 86400)
#define NAMES_MAX 64U

struct activate_options {
    struct cli_common common;
    struct family_words words;
    const char *url, *from, *force, *ca_file;
    struct cli_list servers;
    struct cli_number cache_life;
};

static const struct cli_option activate_options[] = {
    FAMILY_OPTIONS(struct activate_options),
    {"url", 0, "URL", CLI_TEXT, offsetof(struct activate_options, url),
     "where the key set is published: looked at each time, and what was seen is kept", 0, 0},
    {"server", 0, "ROW", CLI_LIST, offsetof(struct activate_options, servers),
     "a family of servers that reads it, and how long it keeps a set (epic: 29 h); may be given several times; "
     "default: "
     "those of the configuration's clients with this key",
     0, 0},
    {"cache-life", 0, "S", CLI_NUMBER, offsetof(struct activate_options, cache_life),
     "how long a server keeps a set at most, whatever it is told, in seconds; default: by --server", 0,
     CACHE_LIFE_MAX_S},
    {"from", 0, "DAY", CLI_TEXT, offsetof(struct activate_options, from),
     "the day (UTC) from whose midnight it signs: YYYY-MM-DD, today or tomorrow; default: tomorrow", 0, 0},
    {"force", 0, "KID", CLI_TEXT, offsetof(struct activate_options, force),
     "activate this key, by kid or label, although servers may not know it yet", 0, 0},
    {"ca-file", 0, "FILE", CLI_TEXT, offsetof(struct activate_options, ca_file),
     "further CA certificates for --url, PEM", 0, 0},
};
static const struct cli_group activate_group = CLI_GROUP("Activation", activate_options);

/* ---- Which key ---- */

static enum hsmart_code
find_staged(const struct activate_options *own, const hsmart_family *family, const hsmart_family_key **out_key,
            hsmart_err *err)
{
    const hsmart_family_key *found = NULL;

    if (own->force != NULL)
        return family_find(family, own->force, out_key, err);
    for (size_t i = 0; i < family->count; i++) {
        if (family->keys[i].state != HSMART_KEY_STAGED)
            continue;
        if (found != NULL)
            return hs_err_set(err, HSMART_KEY_AMBIGUOUS, "keys \"%s\" and \"%s\" are both staged", family_label(found),
                              family_label(&family->keys[i]));
        found = &family->keys[i];
    }
    if (found == NULL) {
        (void)hs_err_set(err, HSMART_KEY_ABSENT, "the family \"%s\" has no staged key", family->label);
        hs_err_hint(err, "make one with \"hsmart-key rotate\"; \"hsmart-key publish --at now\" shows the keys");
        return HSMART_KEY_ABSENT;
    }
    *out_key = found;
    return HSMART_OK;
}

/* ---- How long caches live ---- */

static enum hsmart_code
raise_to_row(const char *name, int64_t *life_s, hsmart_err *err)
{
    hsmart_server row;

    if (!hsmart_server_by_name(name, &row)) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "there is no family of servers \"%.40s\"", name);
        hs_err_hint(err, "docs/servers.md lists them");
        return HSMART_INVALID_ARGUMENT;
    }
    if ((int64_t)row.jwks_cache_max_s > *life_s)
        *life_s = row.jwks_cache_max_s;
    return HSMART_OK;
}

/* The rows of the clients that use this key. */
static enum hsmart_code
raise_to_clients(const struct target *target, int64_t *life_s, hsmart_err *err)
{
    struct hs_buf names = {0};
    enum hsmart_code code = HSMART_OK;

    if (target->config == NULL || target->key == NULL)
        return HSMART_OK;
    code = hs_config_names(target->config, "client", &names, err);
    char *rest = code == HSMART_OK && names.len > 0 ? (char *)names.data : NULL;
    for (size_t i = 0; rest != NULL && *rest != 0 && i < NAMES_MAX && code == HSMART_OK; i++) {
        char *name = rest, *comma = strstr(rest, ", ");
        rest = comma != NULL ? comma + 2 : rest + strlen(rest);
        if (comma != NULL)
            *comma = 0;
        const struct hs_config_client *client = hs_config_get_client(target->config, name);
        if (client != NULL && client->key == target->key)
            code = raise_to_row(client->profile, life_s, err);
    }
    hs_buf_clear(&names);
    return code;
}

static enum hsmart_code
cache_life(const struct activate_options *own, const struct target *target, int64_t *out_life_s, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    *out_life_s = 0;
    if (own->cache_life.is_given) {
        *out_life_s = own->cache_life.value;
        return code;
    }
    for (size_t i = 0; i < own->servers.count && code == HSMART_OK; i++)
        code = raise_to_row(own->servers.items[i], out_life_s, err);
    if (code == HSMART_OK && own->servers.count == 0)
        code = raise_to_clients(target, out_life_s, err);
    return code;
}

/* ---- What the URL serves ---- */

static enum hsmart_code
look(const struct activate_options *own, hsmart_family *family, hsmart_err *err)
{
    const struct hs_http_options network = {.ca_file = own->ca_file, .log = {report_log, NULL}};
    struct jwks_fetch fetch = {0};
    char *json = NULL;
    enum hsmart_code code = jwks_fetch(own->url, &network, &fetch, err);
    const struct hs_served *served = &fetch.served;

    if (code == HSMART_OK && !fetch.is_url)
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "--url is \"%.80s\", but must be an https URL", own->url);
    else if (code == HSMART_OK && served->failure != HSMART_OK)
        code = hs_err_set(err, served->failure, "%s", served->failure_text);
    else if (code == HSMART_OK && served->status != 200)
        code = hs_err_set(err, HSMART_SERVER_FAILED, "%s answered with status %d", own->url, (int)served->status);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&fetch.text, &json, err);
    if (code == HSMART_OK)
        code = hsmart_family_note_served(family, own->url, json, hs_clock_now_s(), served->cache_life_s, err);
    hs_string_free(json);
    jwks_fetch_clear(&fetch);
    return code;
}

static enum hsmart_code
check_is_known(const hsmart_family_key *key, const char *url, int64_t cache_max_s, hsmart_err *err)
{
    int64_t wait_s = hsmart_family_activation_wait_s(key, cache_max_s);
    char since[FAMILY_TIME_LEN], from[FAMILY_TIME_LEN], span[FAMILY_TIME_LEN];

    if (wait_s == 0)
        return HSMART_OK;
    if (wait_s < 0) {
        (void)hs_err_set(err, HSMART_POLICY_REFUSED, "%s does not serve key \"%s\" (kid %s)", url, family_label(key),
                         family_kid(key));
        hs_err_hint(err, "write the set with \"hsmart-key publish\", put it where the URL serves it, and look again");
        return HSMART_POLICY_REFUSED;
    }
    family_format_time(key->served_since_s, since);
    family_format_time(hs_clock_now_s() + wait_s, from);
    family_format_span(wait_s, span);
    (void)hs_err_set(err, HSMART_POLICY_REFUSED,
                     "key \"%s\" has been served since %s, and a cache may still hold the set from before",
                     family_label(key), since);
    hs_err_hint(err, "ask again in %s, from %s on (or accept refusals: --force %s)", span, from, family_kid(key));
    return HSMART_POLICY_REFUSED;
}

/* ---- The takeover ---- */

static enum hsmart_code
choose_day(const char *from, int64_t now_s, char out[FAMILY_TIME_LEN], hsmart_err *err)
{
    char today[FAMILY_TIME_LEN];
    int64_t at_s = 0;
    enum hsmart_code code = HSMART_OK;

    family_format_day(now_s, 0, today);
    family_format_day(now_s, from != NULL && strcmp(from, "today") == 0 ? 0 : 1, out);
    if (from == NULL || strcmp(from, "today") == 0 || strcmp(from, "tomorrow") == 0)
        return HSMART_OK;
    code = family_parse_time("from", from, &at_s, err);
    if (code != HSMART_OK)
        return code;
    family_format_day(at_s, 0, out);
    if (strlen(from) != strlen("YYYY-MM-DD"))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--from is a day: keys change over at midnight (UTC)");
    if (strcmp(out, today) < 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--from %s is in the past", out);
    return HSMART_OK;
}

/* The key that started last signs, so no other may have started, or start, on the day or after it. */
static enum hsmart_code
make_room(hsmart_family *family, const hsmart_family_key *key, const char *day, int64_t day_s, hsmart_err *err)
{
    char before[FAMILY_TIME_LEN];
    enum hsmart_code code = HSMART_OK;

    family_format_day(day_s, -1, before);
    for (size_t i = 0; i < family->count && code == HSMART_OK; i++) {
        const hsmart_family_key *other = &family->keys[i];
        bool in_the_way = other != key && (other->state == HSMART_KEY_ACTIVE || other->state == HSMART_KEY_RETIRING) &&
                          other->start_date != NULL && strcmp(other->start_date, day) >= 0;
        if (in_the_way)
            code = family_set_dates(family, other, before, NULL, err);
    }
    return code;
}

/* Before any date is changed: one that is revoked or retired stays so. */
static enum hsmart_code
check_lives_then(const hsmart_family_key *key, const char *day, hsmart_err *err)
{
    if (key->end_date == NULL || strcmp(key->end_date, day) >= 0)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_POLICY_REFUSED, "key \"%s\" has ended: its last day is %s", family_label(key),
                     key->end_date);
    hs_err_hint(err, "a key that is revoked or retired stays so: make another with \"hsmart-key rotate\"");
    return HSMART_POLICY_REFUSED;
}

/* Another host may have activated another key at the same moment, and seen as little of us. Dates are whole days, and
 * the order of keys is the same everywhere, so what the token says now is what all signers will do. */
static enum hsmart_code
check_takes_over(struct target *target, const char *kid, const char *day, int64_t day_s, hsmart_err *err)
{
    hsmart_family *then = NULL;
    int64_t now_s = hs_clock_now_s(), at_s = day_s > now_s ? day_s : now_s;
    enum hsmart_code code = hsmart_family_read(target->opened, &target->family, &at_s, &then, err);

    if (code == HSMART_OK && (then->active == NULL || strcmp(family_kid(then->active), kid) != 0)) {
        code = hs_err_set(err, HSMART_KEY_AMBIGUOUS,
                          "key \"%s\" signs from %s on, and not kid %s: it was activated "
                          "at the same moment, or the key has ended",
                          then->active != NULL ? family_label(then->active) : "no key", day, kid);
        hs_err_hint(err, "look with \"hsmart-key publish --at %s\", and activate the one that is meant", day);
    }
    hsmart_family_free(then);
    return code;
}

static enum hsmart_code
take_over(const struct activate_options *own, struct target *target, hsmart_family *family,
          const hsmart_family_key *key, hsmart_err *err)
{
    char day[FAMILY_TIME_LEN];
    int64_t now_s = hs_clock_now_s(), day_s = 0;
    enum hsmart_code code = choose_day(own->from, now_s, day, err);

    if (code == HSMART_OK)
        code = check_lives_then(key, day, err);
    if (code == HSMART_OK)
        code = family_parse_time("from", day, &day_s, err);
    if (code == HSMART_OK)
        code = make_room(family, key, day, day_s, err);
    if (code == HSMART_OK)
        code = family_set_dates(family, key, day, NULL, err);
    if (code == HSMART_OK)
        code = check_takes_over(target, family_kid(key), day, day_s, err);
    if (code != HSMART_OK)
        return code;
    if (day_s <= now_s)
        report_note("key \"%s\" signs from now on; signers see it within a minute", family_label(key));
    else
        report_note("key \"%s\" signs from %s 00:00 UTC on; signers change over by themselves", family_label(key), day);
    if (family->active != NULL && family->active != key)
        report_note("key \"%s\" stays published meanwhile; \"hsmart-key retire\" takes it out afterwards",
                    family_label(family->active));
    return HSMART_OK;
}

static enum hsmart_code
check_words(const struct activate_options *own, hsmart_err *err)
{
    char day[FAMILY_TIME_LEN];

    if (own->url == NULL && own->force == NULL) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "--url is required: where servers read the key set");
        hs_err_hint(err, "without a URL nothing shows that servers know the key; --force KID does without");
        return HSMART_INVALID_ARGUMENT;
    }
    return choose_day(own->from, hs_clock_now_s(), day, err);
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    const struct activate_options *own = options;
    struct target target = {0};
    hsmart_family *family = NULL;
    const hsmart_family_key *key = NULL;
    int64_t cache_max_s = 0;
    enum hsmart_code code = check_words(own, err);

    (void)call;
    if (code == HSMART_OK)
        code = family_open(&own->common, &own->words, NULL, &target, &family, err);
    if (code == HSMART_OK)
        code = cache_life(own, &target, &cache_max_s, err);
    if (code == HSMART_OK)
        code = find_staged(own, family, &key, err);
    if (code == HSMART_OK && own->url != NULL) {
        char *kid = NULL; /* the key goes with the family that it is of */
        code = hs_strdup(family_kid(key), &kid, err);
        if (code == HSMART_OK)
            code = look(own, family, err);
        if (code == HSMART_OK)
            code = family_reread(&target, &family, err);
        if (code == HSMART_OK)
            code = family_find(family, kid, &key, err);
        hs_string_free(kid);
    }
    if (code == HSMART_OK && own->force == NULL)
        code = check_is_known(key, own->url, cache_max_s, err);
    else if (code == HSMART_OK)
        report_warning("key \"%s\" is activated by force: a server that does not know it yet refuses its assertions",
                       family_label(key));
    if (code == HSMART_OK)
        code = take_over(own, &target, family, key, err);
    hsmart_family_free(family);
    target_clear(&target);
    return code;
}

const struct cli_verb verb_activate = {
    .name = "activate",
    .summary = "Gives a staged key its first day, once it has been served for longer than any cache keeps a set.",
    .options_size = sizeof(struct activate_options),
    .groups = {&activate_group, &cli_group_token, &cli_group_quiet},
    .example = "  hsmart-key activate --key ehr --url https://app.example/jwks.json\n",
    .run = run,
};
