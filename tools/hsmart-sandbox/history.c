#include "history.h"

#include "err.h"

static const struct {
    const char *id, *what;
} checks[INFERNO_CHECKS] = {
    [INFERNO_REGISTERED_KEYS] = {"registered-keys", "the registered key set has a usable key"},
    [INFERNO_GRANT_TYPE] = {"grant-type", "grant_type is client_credentials"},
    [INFERNO_ASSERTION_TYPE] = {"assertion-type", "client_assertion_type is the URN of RFC 7523"},
    [INFERNO_SCOPE] = {"scope", "scope is not blank"},
    [INFERNO_TYP] = {"typ", "the assertion's typ is JWT"},
    [INFERNO_ISS] = {"iss", "iss is the client id"},
    [INFERNO_SUB] = {"sub", "sub is the client id"},
    [INFERNO_AUD] = {"aud", "aud is one string, exactly the token endpoint"},
    [INFERNO_EXP] = {"exp", "exp is there"},
    [INFERNO_JTI] = {"jti", "jti is there"},
    [INFERNO_JTI_NEW] = {"jti-new", "the jti was not used before"},
    [INFERNO_ALG] = {"alg", "alg is there"},
    [INFERNO_KID] = {"kid", "kid is there"},
    [INFERNO_KEY_FOUND] = {"key-found", "the registered key set has a key of this kid"},
    [INFERNO_SIGNATURE] = {"signature", "the signature verifies with it"},
    [INFERNO_NO_REFRESH] = {"no-refresh", "no request has the grant type refresh_token"},
    [INFERNO_TOKEN_USED] = {"token-used", "a FHIR request came with an access token that was issued here"},
};

enum hsmart_code
history_add(struct history *history, const struct history_entry *entry, const struct observation *observation,
            hsmart_err *err)
{
    if (history->entries == NULL)
        history->entries = hs_calloc(HISTORY_MAX, sizeof *history->entries);
    if (history->entries == NULL)
        return hs_err_no_memory(err);
    history->entries[history->count++ % HISTORY_MAX] = *entry;
    for (size_t i = 0; i < INFERNO_CHECKS; i++) {
        history->good[i] += observation->verdicts[i] == INFERNO_GOOD;
        history->bad[i] += observation->verdicts[i] == INFERNO_BAD;
        history->skipped[i] += observation->verdicts[i] == INFERNO_SKIPPED;
    }
    return HSMART_OK;
}

void
history_clear(struct history *history)
{
    hs_free(history->entries);
    *history = (struct history){0};
}

void
history_put(const struct history *history, struct hs_json_writer *writer)
{
    uint64_t kept = history->count < HISTORY_MAX ? history->count : HISTORY_MAX;

    hs_json_begin_object(writer);
    hs_json_member_integer(writer, "count", (int64_t)history->count);
    hs_json_name(writer, "requests");
    hs_json_begin_array(writer);
    for (uint64_t i = history->count - kept; i < history->count; i++) {
        const struct history_entry *entry = &history->entries[i % HISTORY_MAX];
        hs_json_begin_object(writer);
        hs_json_member_integer(writer, "at", entry->at_s);
        hs_json_member_text(writer, "method", entry->method);
        hs_json_member_text(writer, "path", entry->path);
        hs_json_member_integer(writer, "status", entry->status);
        hs_json_member_text(writer, "note", entry->note);
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
    hs_json_end_object(writer);
}

void
history_put_inferno(const struct history *history, struct hs_json_writer *writer)
{
    bool passes = true;

    for (size_t i = 0; i < INFERNO_CHECKS; i++)
        passes = passes && history->bad[i] == 0 && history->skipped[i] == 0 && history->good[i] > 0;
    hs_json_begin_object(writer);
    hs_json_member_boolean(writer, "pass", passes);
    hs_json_name(writer, "checks");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < INFERNO_CHECKS; i++) {
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "id", checks[i].id);
        hs_json_member_text(writer, "what", checks[i].what);
        hs_json_member_text(writer, "verdict",
                            history->bad[i] > 0       ? "fail"
                            : history->skipped[i] > 0 ? "skipped"
                            : history->good[i] > 0    ? "pass"
                                                      : "not seen");
        hs_json_member_integer(writer, "good", history->good[i]);
        hs_json_member_integer(writer, "bad", history->bad[i]);
        hs_json_member_integer(writer, "skipped", history->skipped[i]);
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
    hs_json_end_object(writer);
}
