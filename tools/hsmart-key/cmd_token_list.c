/* hsmart-key token list: the tokens of a module. Never logs in. */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "output.h"
#include "report.h"
#include "target.h"
#include "verbs.h"

struct token_list_options {
    struct cli_common common;
};

/* What a token says of itself, as words. */
static const struct state {
    const char *member; /* in JSON */
    const char *words;
    size_t offset;
} states[] = {
    {"initialized", "initialised", offsetof(hsmart_token_info, initialized)},
    {"login_required", "login required", offsetof(hsmart_token_info, login_required)},
    {"pin_set", "PIN set", offsetof(hsmart_token_info, pin_set)},
    {"pinpad", "PIN pad", offsetof(hsmart_token_info, pinpad)},
    {"write_protected", "write protected", offsetof(hsmart_token_info, write_protected)},
};
static const struct state pin_flags[] = {
    {"pin_count_low", "a wrong PIN was tried", offsetof(hsmart_token_info, pin_count_low)},
    {"pin_final_try", "one wrong PIN more locks it", offsetof(hsmart_token_info, pin_final_try)},
    {"pin_locked", "locked", offsetof(hsmart_token_info, pin_locked)},
    {"pin_to_be_changed", "to be changed", offsetof(hsmart_token_info, pin_to_be_changed)},
    {"so_pin_count_low", "a wrong SO PIN was tried", offsetof(hsmart_token_info, so_pin_count_low)},
    {"so_pin_final_try", "one wrong SO PIN more locks it", offsetof(hsmart_token_info, so_pin_final_try)},
    {"so_pin_locked", "SO PIN locked", offsetof(hsmart_token_info, so_pin_locked)},
};

/* The mechanisms that hsmart signs or makes keys with; the others are shown with -v. */
static const char *const our_mechanisms[] = {
    "CKM_RSA_PKCS_KEY_PAIR_GEN",
    "CKM_RSA_PKCS",
    "CKM_SHA256_RSA_PKCS",
    "CKM_SHA384_RSA_PKCS",
    "CKM_SHA512_RSA_PKCS",
    "CKM_RSA_PKCS_PSS",
    "CKM_SHA256_RSA_PKCS_PSS",
    "CKM_SHA384_RSA_PKCS_PSS",
    "CKM_SHA512_RSA_PKCS_PSS",
    "CKM_EC_KEY_PAIR_GEN",
    "CKM_ECDSA",
    "CKM_ECDSA_SHA256",
    "CKM_ECDSA_SHA384",
    "CKM_ECDSA_SHA512",
};

static bool
holds(const hsmart_token_info *info, const struct state *state)
{
    return *(const bool *)((const char *)info + state->offset);
}

static void
put_states(struct text *text, const char *name, const hsmart_token_info *info, const struct state *rows, size_t count,
           const char *when_none)
{
    const char *between = "";

    text_put(text, "  %-14s", name);
    for (size_t i = 0; i < count; i++)
        if (holds(info, &rows[i])) {
            text_put(text, "%s%s", between, rows[i].words);
            between = ", ";
        }
    text_put(text, "%s\n", between[0] == 0 ? when_none : "");
}

static bool
is_ours(const char *mechanism)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(our_mechanisms); i++)
        if (strcmp(mechanism, our_mechanisms[i]) == 0)
            return true;
    return false;
}

static void
put_mechanisms(struct text *text, const hsmart_token_info *info)
{
    size_t left_out = 0;

    text_put(text, "  mechanisms\n");
    for (size_t i = 0; i < info->mechanism_count; i++) {
        if (report_is_verbose() || is_ours(info->mechanisms[i]))
            text_put(text, "    %s\n", info->mechanisms[i]);
        else
            left_out++;
    }
    if (left_out > 0)
        text_put(text, "    and %zu that are not for signing with RSA or EC (-v shows them)\n", left_out);
}

static void
put_line(struct text *text, const char *name, const char *value)
{
    text_put(text, "  %-14s", name);
    text_put_safe(text, value);
    text_put(text, "\n");
}

static void
put_token(struct text *text, const hsmart_token_info *info)
{
    char slot[32];

    (void)snprintf(slot, sizeof slot, "%lu", info->slot_id);
    if (!info->initialized) { /* its flags and names mean nothing yet */
        text_put(text, "slot %s: a token that is not initialised, ", slot);
        text_put_safe(text, info->model);
        text_put(text, "\n");
        return;
    }
    text_put(text, "token \"");
    text_put_safe(text, info->label);
    text_put(text, "\"\n");
    put_line(text, "uri", info->uri);
    put_line(text, "serial", info->serial);
    put_line(text, "model", info->model);
    put_line(text, "manufacturer", info->manufacturer);
    put_line(text, "firmware", info->firmware);
    put_line(text, "slot", slot);
    put_states(text, "state", info, states, HS_ARRAY_LEN(states), "");
    put_states(text, "PIN flags", info, pin_flags, HS_ARRAY_LEN(pin_flags), "none");
    put_mechanisms(text, info);
}

static enum hsmart_code
format_text(const hsmart_token_list *list, struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};

    for (size_t i = 0; i < list->count; i++) {
        text_put(&text, "%s", i > 0 ? "\n" : "");
        put_token(&text, &list->tokens[i]);
    }
    return text_finish(&text, err);
}

static void
put_json(struct hs_json_writer *writer, const hsmart_token_info *info)
{
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "label", info->label);
    hs_json_member_text(writer, "serial", info->serial);
    hs_json_member_text(writer, "model", info->model);
    hs_json_member_text(writer, "manufacturer", info->manufacturer);
    hs_json_member_text(writer, "uri", info->uri);
    hs_json_member_text(writer, "firmware", info->firmware);
    hs_json_member_integer(writer, "slot_id", (int64_t)info->slot_id);
    for (size_t i = 0; i < HS_ARRAY_LEN(states); i++)
        hs_json_member_boolean(writer, states[i].member, holds(info, &states[i]));
    for (size_t i = 0; i < HS_ARRAY_LEN(pin_flags); i++)
        hs_json_member_boolean(writer, pin_flags[i].member, holds(info, &pin_flags[i]));
    hs_json_name(writer, "mechanisms");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < info->mechanism_count; i++)
        hs_json_put_text(writer, info->mechanisms[i]);
    hs_json_end_array(writer);
    hs_json_end_object(writer);
}

static enum hsmart_code
format_json(const hsmart_token_list *list, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out, .indent = true};

    hs_json_begin_object(&writer);
    hs_json_name(&writer, "tokens");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < list->count; i++)
        put_json(&writer, &list->tokens[i]);
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    enum hsmart_code code = hs_json_writer_finish(&writer, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "\n", err) : code;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct token_list_options *own = options;
    struct target target = {0};
    hsmart_token_list *list = NULL;
    struct hs_buf answer = {.max_len = OUTPUT_MAX_LEN};

    (void)call;
    code = output_check(NULL, err);
    if (code == HSMART_OK)
        code = target_resolve(&own->common, TARGET_NO_LOGIN, &target, err);
    if (code == HSMART_OK)
        code = hsmart_token_list_read(&target.token, &list, err);
    if (code != HSMART_OK)
        goto out;
    if (list->count == 0)
        report_note("the module has no token%s", target.token.uri != NULL ? " that matches" : "");
    code = own->common.json ? format_json(list, &answer, err) : format_text(list, &answer, err);
    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&answer), err);
out:
    hs_buf_clear(&answer);
    hsmart_token_list_free(list);
    target_clear(&target);
    return code;
}

const struct cli_verb verb_token_list = {
    .name = "token list",
    .summary = "Shows the tokens of a module, their mechanisms and the state of their PINs; never logs in.",
    .options_size = sizeof(struct token_list_options),
    .groups = {&cli_group_token, &cli_group_general},
    .example = "  hsmart-key token list --module /usr/lib/softhsm/libsofthsm2.so\n",
    .run = run,
};
