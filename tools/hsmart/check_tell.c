#include "check_tell.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "json.h"

/* ---- Words ---- */

static const struct {
    const char *word, *sign, *json;
} marks[] = {
    [HS_VERDICT_OK] = {"ok", "\xe2\x9c\x93", "ok"},
    [HS_VERDICT_WARNING] = {"warning", "!", "warning"},
    [HS_VERDICT_ERROR] = {"ERROR", "\xe2\x9c\x97", "error"},
    [HS_VERDICT_SKIPPED] = {"skipped", "-", "skipped"},
};

/* The locale is read here and not at the start of every command: it maps 160 kB. */
static bool
shows_utf8(void)
{
    static bool is_known, does;

    if (!is_known)
        does = isatty(STDOUT_FILENO) && setlocale(LC_CTYPE, "") != NULL && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    is_known = true;
    return does;
}

const char *
verdict_text(enum hs_verdict verdict)
{
    if (shows_utf8())
        return marks[verdict].sign;
    return marks[verdict].word;
}

size_t
verdict_width(void)
{
    return text_width(verdict_text(HS_VERDICT_SKIPPED));
}

static enum hs_verdict
verdict_of(const struct hs_finding *finding)
{
    return finding->severity == HS_SEVERITY_ERROR ? HS_VERDICT_ERROR : HS_VERDICT_WARNING;
}

static const char *
plural(size_t count, const char *one, const char *several)
{
    return count == 1 ? one : several;
}

/* The findings of one verdict: they stand together in the report. */
static size_t
first_finding(const struct hs_report *report, const struct hs_rule *rule)
{
    size_t i = 0;

    while (i < report->count && report->findings[i].rule != rule)
        i++;
    return i;
}

/* ---- For people ---- */

static void
put_mark(struct text *text, enum hs_verdict verdict, const char *code)
{
    text_put_padded(text, verdict_text(verdict), verdict_width());
    text_put(text, "  %s  ", code);
}

/* Who else refuses it, in the order of the table. */
static void
put_refusers(struct text *text, const struct hs_rule *rule, int indent)
{
    bool is_first = true;

    for (size_t i = 0; i < hs_enforcement_count; i++) {
        if (strcmp(hs_enforcements[i].code, rule->code) != 0 || hs_enforcements[i].stance == HS_TAKES)
            continue;
        if (is_first)
            text_put(text, "%*srefused by: ", indent, "");
        text_put(text, "%s%s", is_first ? "" : ", ", hs_enforcements[i].server);
        is_first = false;
    }
    if (!is_first)
        text_put(text, "\n");
}

/* NULL where nothing is known of it. */
static const struct hs_enforcement *
known_answer(const struct check_told *told, const struct hs_finding *finding)
{
    const struct hs_enforcement *known =
        told->server != NULL ? hs_enforcement_of(finding->rule->code, told->server) : NULL;

    return known != NULL && known->status != 0 && finding->severity == HS_SEVERITY_ERROR ? known : NULL;
}

static void
put_answer(struct text *text, const struct check_told *told, const struct hs_finding *finding, int indent)
{
    const struct hs_enforcement *known = known_answer(told, finding);

    if (known == NULL)
        return;
    text_put(text, "%*s%s answers: %d%s%s%s%s%s\n", indent, "", told->server, known->status,
             known->error != NULL ? " " : "", known->error != NULL ? known->error : "",
             known->description != NULL ? ", \"" : "", known->description != NULL ? known->description : "",
             known->description != NULL ? "\"" : "");
}

static void
put_finding(struct text *text, const struct check_told *told, const struct hs_finding *finding)
{
    int indent = (int)(verdict_width() + strlen("  K01  "));

    put_mark(text, verdict_of(finding), finding->rule->code);
    text_put_safe(text, finding->text);
    text_put(text, "\n%*scure: %s\n%*ssource: %s\n", indent, "", finding->rule->cure, indent, "",
             finding->rule->source);
    put_answer(text, told, finding, indent);
    put_refusers(text, finding->rule, indent);
}

enum hsmart_code
check_format_text(const struct check_told *told, struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};
    const struct hs_report *report = told->report;
    size_t skipped = hs_report_count(report, HS_VERDICT_SKIPPED);

    for (size_t v = 0; v < report->verdict_count; v++) {
        const struct hs_rule_verdict *verdict = &report->verdicts[v];
        if (verdict->verdict == HS_VERDICT_OK || verdict->verdict == HS_VERDICT_SKIPPED) {
            put_mark(&text, verdict->verdict, verdict->rule->code);
            text_put(&text, "%s", verdict->rule->good);
            if (verdict->reason != NULL)
                text_put(&text, ": not checked, %s", verdict->reason);
            text_put(&text, "\n");
        }
        for (size_t i = first_finding(report, verdict->rule);
             i < report->count && report->findings[i].rule == verdict->rule; i++)
            put_finding(&text, told, &report->findings[i]);
    }
    text_put(&text, "%zu %s, %zu %s, %zu rules applied, %zu skipped", report->error_count,
             plural(report->error_count, "error", "errors"), report->warning_count,
             plural(report->warning_count, "warning", "warnings"), report->verdict_count - skipped, skipped);
    if (told->server != NULL)
        text_put(&text, ", for %s", told->server);
    text_put(&text, "\n");
    return text_finish(&text, err);
}

/* ---- JSON ---- */

static void
put_json_rules(struct hs_json_writer *writer, const struct hs_report *report)
{
    hs_json_name(writer, "rules");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < report->verdict_count; i++) {
        const struct hs_rule_verdict *verdict = &report->verdicts[i];
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "code", verdict->rule->code);
        hs_json_member_text(writer, "verdict", marks[verdict->verdict].json);
        hs_json_member_text(writer, "good", verdict->rule->good);
        if (verdict->reason != NULL)
            hs_json_member_text(writer, "reason", verdict->reason);
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
}

static void
put_json_refusers(struct hs_json_writer *writer, const struct hs_rule *rule)
{
    hs_json_name(writer, "refused_by");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < hs_enforcement_count; i++)
        if (strcmp(hs_enforcements[i].code, rule->code) == 0 && hs_enforcements[i].stance != HS_TAKES)
            hs_json_put_text(writer, hs_enforcements[i].server);
    hs_json_end_array(writer);
}

/* What the server that was named answers, where that is known. */
static void
put_json_answer(struct hs_json_writer *writer, const struct check_told *told, const struct hs_finding *finding)
{
    const struct hs_enforcement *known = known_answer(told, finding);

    if (known == NULL)
        return;
    hs_json_name(writer, "answer");
    hs_json_begin_object(writer);
    hs_json_member_integer(writer, "status", known->status);
    hs_json_member_text(writer, "error", known->error);
    hs_json_member_text(writer, "error_description", known->description);
    hs_json_end_object(writer);
}

static void
put_json_findings(struct hs_json_writer *writer, const struct check_told *told)
{
    const struct hs_report *report = told->report;

    hs_json_name(writer, "findings");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < report->count; i++) {
        const struct hs_finding *finding = &report->findings[i];
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "code", finding->rule->code);
        hs_json_member_text(writer, "severity", marks[verdict_of(finding)].json);
        hs_json_member_text(writer, "text", finding->text);
        hs_json_member_text(writer, "rule", finding->rule->title);
        hs_json_member_text(writer, "cure", finding->rule->cure);
        hs_json_member_text(writer, "source", finding->rule->source);
        put_json_refusers(writer, finding->rule);
        put_json_answer(writer, told, finding);
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
}

enum hsmart_code
check_format_json(const struct check_told *told, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out, .indent = true};
    const struct hs_report *report = told->report;

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "checked", told->what);
    hs_json_member_text(&writer, "server", told->server);
    hs_json_member_text(&writer, "verdict", report->error_count > 0 ? "errors" : "ok");
    hs_json_member_integer(&writer, "errors", (int64_t)report->error_count);
    hs_json_member_integer(&writer, "warnings", (int64_t)report->warning_count);
    put_json_findings(&writer, told);
    put_json_rules(&writer, report);
    hs_json_end_object(&writer);
    enum hsmart_code code = hs_json_writer_finish(&writer, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "\n", err) : code;
}

/* ---- JUnit ---- */

/* The first finding is the message, all of them are the text: JUnit has one failure for a case. */
static void
put_xml_findings(struct text *text, const struct hs_report *report, const struct hs_rule_verdict *verdict)
{
    bool is_error = verdict->verdict == HS_VERDICT_ERROR;
    const char *element = is_error ? "failure" : "system-out";
    size_t first = first_finding(report, verdict->rule), i = first;

    while (is_error && report->findings[i].severity != HS_SEVERITY_ERROR)
        i++;
    text_put(text, "      <%s", element);
    if (is_error) {
        text_put_xml_attribute(text, "type", verdict->rule->code);
        text_put_xml_attribute(text, "message", report->findings[i].text);
    }
    text_put(text, ">");
    for (i = first; i < report->count && report->findings[i].rule == verdict->rule; i++) {
        text_put_xml(text, report->findings[i].severity == HS_SEVERITY_ERROR ? "error: " : "warning: ");
        text_put_xml(text, report->findings[i].text);
        text_put(text, "\n");
    }
    text_put_xml(text, "cure: ");
    text_put_xml(text, verdict->rule->cure);
    text_put_xml(text, "\nsource: ");
    text_put_xml(text, verdict->rule->source);
    text_put(text, "</%s>\n", element);
}

static void
put_xml_case(struct text *text, const struct check_told *told, const struct hs_rule_verdict *verdict)
{
    char name[512];

    (void)snprintf(name, sizeof name, "%s %s", verdict->rule->code, verdict->rule->good);
    text_put(text, "    <testcase");
    text_put_xml_attribute(text, "classname", told->what);
    text_put_xml_attribute(text, "name", name);
    if (verdict->verdict == HS_VERDICT_OK) {
        text_put(text, "/>\n");
        return;
    }
    text_put(text, ">\n");
    if (verdict->verdict == HS_VERDICT_SKIPPED) {
        text_put(text, "      <skipped");
        text_put_xml_attribute(text, "message", verdict->reason);
        text_put(text, "/>\n");
    } else {
        put_xml_findings(text, told->report, verdict);
    }
    text_put(text, "    </testcase>\n");
}

enum hsmart_code
check_format_junit(const struct check_told *told, struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};
    const struct hs_report *report = told->report;

    text_put(&text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite");
    text_put_xml_attribute(&text, "name", "hsmart check");
    text_put(&text,
             " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\">\n    <properties>\n      <property "
             "name=\"input\"",
             report->verdict_count, hs_report_count(report, HS_VERDICT_ERROR),
             hs_report_count(report, HS_VERDICT_SKIPPED));
    text_put_xml_attribute(&text, "value", told->name);
    text_put(&text, "/>\n      <property name=\"server\"");
    text_put_xml_attribute(&text, "value", told->server != NULL ? told->server : "");
    text_put(&text, "/>\n    </properties>\n");
    for (size_t v = 0; v < report->verdict_count; v++)
        put_xml_case(&text, told, &report->verdicts[v]);
    text_put(&text, "  </testsuite>\n</testsuites>\n");
    return text_finish(&text, err);
}
