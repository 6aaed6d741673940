/* hsmart-key ceremony lint: a plan is read as the ceremony will read it, and its fingerprint shown for the review. */
#include "clock.h"
#include "err.h"
#include "fingerprint_view.h"
#include "json.h"
#include "plan.h"
#include "report.h"
#include "verbs.h"

struct lint_options {
    struct cli_common common;
};

static const char *const certificate_words[] = {"", ", and a certificate request", ", and a self-signed certificate"};

static void
put_line(struct table *table, const char *name, const char *value)
{
    table_put(table, "");
    table_put(table, name);
    table_put(table, value);
}

static void
put_key(struct text *text, const struct hs_plan_key *key)
{
    struct table table = {.column_count = 3};

    text_put(text, "key \"%s\"%s\n", key->label, certificate_words[key->certificate]);
    put_line(&table, "alg", key->alg);
    if (key->bits != 0) {
        table_put(&table, "");
        table_put(&table, "bits");
        table_put_format(&table, "%u", key->bits);
    }
    table_put(&table, "");
    table_put(&table, "signs");
    table_put_format(&table, "%s to %s", key->start, key->end);
    put_line(&table, "purpose", key->purpose);
    put_line(&table, "clients", key->clients);
    if (key->subject != NULL)
        put_line(&table, "subject", key->subject);
    table_finish(&table, text);
}

static enum hsmart_code
format_text(const struct hs_plan *plan, struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};

    text_put(&text, "ceremony \"");
    text_put_safe(&text, plan->title);
    text_put(&text, "\" of ");
    text_put_safe(&text, plan->organisation);
    text_put(&text, "\n  ");
    text_put_safe(&text, plan->purpose);
    text_put(&text, "\n");
    if (plan->not_before != NULL || plan->not_after != NULL)
        text_put(&text, "  to be held from %s to %s\n", plan->not_before != NULL ? plan->not_before : "any day",
                 plan->not_after != NULL ? plan->not_after : "any day");
    text_put(&text, "  people: ");
    for (size_t i = 0; i < plan->role_count; i++)
        text_put(&text, "%u %s, ", plan->roles[i].count, plan->roles[i].name);
    text_put(&text, "%u witness%s\n", plan->witnesses, plan->witnesses == 1 ? "" : "es");
    for (size_t i = 0; i < plan->key_count; i++)
        put_key(&text, &plan->keys[i]);
    text_put(&text, "\nSHA-256 of the plan, to be confirmed in the ceremony:\n");
    fingerprint_put(&text, HS_SPAN_OF(plan->sha256), "  ");
    return text_finish(&text, err);
}

/* ---- JSON ---- */

static void
put_json_advice(void *arg, const char *line)
{
    hs_json_put_text(arg, line);
}

static void
put_json_key(struct hs_json_writer *writer, const struct hs_plan_key *key)
{
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "label", key->label);
    hs_json_member_text(writer, "alg", key->alg);
    if (key->bits != 0)
        hs_json_member_integer(writer, "bits", key->bits);
    hs_json_member_text(writer, "start", key->start);
    hs_json_member_text(writer, "end", key->end);
    hs_json_end_object(writer);
}

static enum hsmart_code
format_json(const struct hs_plan *plan, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out, .indent = true};

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "ceremony", plan->title);
    hs_json_member_text(&writer, "sha256", plan->sha256_hex);
    hs_json_member_text(&writer, "words", plan->words);
    hs_json_name(&writer, "keys");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < plan->key_count; i++)
        put_json_key(&writer, &plan->keys[i]);
    hs_json_end_array(&writer);
    hs_json_name(&writer, "advice");
    hs_json_begin_array(&writer);
    (void)hs_plan_advise(plan, hs_clock_now_s(), put_json_advice, &writer);
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    enum hsmart_code code = hs_json_writer_finish(&writer, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "\n", err) : code;
}

static void
warn(void *arg, const char *line)
{
    (void)arg;
    report_warning("%s", line);
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    const struct lint_options *own = options;
    struct hs_plan plan = {0};
    struct hs_buf answer = {.max_len = OUTPUT_MAX_LEN};
    enum hsmart_code code = output_check(NULL, err);

    if (code == HSMART_OK)
        code = hs_plan_load(call->operands[0], &plan, err);
    if (code == HSMART_OK)
        code = own->common.json ? format_json(&plan, &answer, err) : format_text(&plan, &answer, err);
    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&answer), err);
    if (code == HSMART_OK && !own->common.json)
        (void)hs_plan_advise(&plan, hs_clock_now_s(), warn, NULL);
    hs_buf_clear(&answer);
    hs_plan_clear(&plan);
    return code;
}

const struct cli_verb verb_ceremony_lint = {
    .name = "ceremony lint",
    .summary = "Reads the plan of a key ceremony, and shows its fingerprint as hex and words.",
    .operands = "PLAN",
    .operand_min = 1,
    .operand_max = 1,
    .options_size = sizeof(struct lint_options),
    .groups = {&cli_group_general},
    .example = "  hsmart-key ceremony lint plan.conf\n",
    .run = run,
};
