#include "record_html.h"

#include <stdio.h>

#include "base64url.h"
#include "err.h"
#include "qr_svg.h"
#include "record_verify.h"
#include "text.h"
#include "words.h"

/* A page in the making; the first failure is kept, so that the calls between need no checking. */
struct page {
    struct hs_buf *out;
    const struct hs_record *record;
    const hs_json_value *root;
    size_t bad_count;
    struct hs_buf checks; /* rows of the table of checks */
    enum hsmart_code code;
    hsmart_err err;
};

/* ---- Pieces ---- */

/* Markup of ours, never a text from outside. */
static void
put(struct page *page, const char *markup)
{
    if (page->code == HSMART_OK)
        page->code = hs_buf_append_str(page->out, markup, &page->err);
}

static enum hsmart_code
append_escaped(struct hs_buf *out, const char *text, hsmart_err *err)
{
    static const struct {
        char c;
        const char *escape;
    } escapes[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    enum hsmart_code code = HSMART_OK;

    while (*text != 0 && code == HSMART_OK) {
        size_t plain = strcspn(text, "&<>\"'");
        code = hs_buf_append(out, (struct hs_span){(const uint8_t *)text, plain}, err);
        text += plain;
        for (size_t i = 0; *text != 0 && i < HS_ARRAY_LEN(escapes) && code == HSMART_OK; i++)
            if (escapes[i].c == *text) {
                code = hs_buf_append_str(out, escapes[i].escape, err);
                text++;
                break;
            }
    }
    return code;
}

/* A text from the record: without what must not be seen (control characters, changes of direction), then escaped. */
static enum hsmart_code
append_text(struct hs_buf *out, const char *text, hsmart_err *err)
{
    char *safe = NULL;
    enum hsmart_code code = hs_strdup(text, &safe, err);

    if (code != HSMART_OK)
        return code;
    hs_text_sanitize(safe);
    code = append_escaped(out, safe, err);
    hs_string_free(safe);
    return code;
}

static void
put_text(struct page *page, const char *text)
{
    if (page->code == HSMART_OK)
        page->code = append_text(page->out, text, &page->err);
}

static void
put_cell(struct page *page, const char *text)
{
    put(page, "<td>");
    put_text(page, text);
    put(page, "</td>");
}

static void
put_row(struct page *page, const char *name, const char *text)
{
    put(page, "<tr><th scope=\"row\">");
    put_text(page, name);
    put(page, "</th>");
    put_cell(page, text);
    put(page, "</tr>\n");
}

static const char *
text_of(const hs_json_value *value, const char *name)
{
    return hs_record_text(value, name);
}

/* 32 bytes: hex and words, four bytes a line, and the QR code of `qr`. */
static void
put_fingerprint(struct page *page, struct hs_span digest, const char *qr, const char *label)
{
    put(page, "<div class=\"fingerprint\"><table>\n");
    for (size_t at = 0; at + 4 <= digest.len; at += 4) {
        char hex[9];
        (void)snprintf(hex, sizeof hex, "%02x%02x%02x%02x", digest.data[at], digest.data[at + 1], digest.data[at + 2],
                       digest.data[at + 3]);
        put(page, "<tr><td class=\"hex\">");
        put(page, hex);
        put(page, "</td>");
        for (size_t i = at; i < at + 4; i++) {
            put(page, "<td>");
            put(page, hs_word_of(i, digest.data[i]));
            put(page, "</td>");
        }
        put(page, "</tr>\n");
    }
    put(page, "</table>");
    if (page->code == HSMART_OK)
        page->code = hs_qr_svg_append(page->out, qr, label, &page->err);
    put(page, "</div>\n");
}

/* ---- Checks ---- */

static void
add_check(void *arg, enum hs_record_verdict verdict, const char *check, const char *line)
{
    static const char *const words[] = {"holds", "DOES NOT HOLD", "not looked at"};
    struct page *page = arg;
    struct hs_buf *out = &page->checks;

    if (page->code == HSMART_OK)
        page->code = hs_buf_append_format(out, &page->err, "<tr class=\"%s\"><th scope=\"row\">%s</th><td>%s</td><td>",
                                          verdict == HS_RECORD_BAD ? "bad" : "", check, words[verdict]);
    if (page->code == HSMART_OK)
        page->code = append_text(out, line, &page->err);
    if (page->code == HSMART_OK)
        page->code = hs_buf_append_str(out, "</td></tr>\n", &page->err);
}

static void
put_checks(struct page *page)
{
    put(page, "<section><h2>What was checked when this page was made</h2><table class=\"checks\">\n");
    put(page, hs_buf_text(&page->checks));
    put(page, "</table></section>\n");
}

/* ---- Sections ---- */

static const char style[] =
    "@page{size:A4;margin:16mm}"
    "*{box-sizing:border-box}"
    "body{font:10pt/1.4 \"Liberation Sans\",\"DejaVu "
    "Sans\",Arial,sans-serif;color:#000;background:#fff;max-width:180mm;margin:0 auto;"
    "padding:4mm}"
    "h1{font-size:17pt;margin:0 0 1mm}h2{font-size:12pt;margin:7mm 0 2mm;border-bottom:1px solid "
    "#000;break-after:avoid}"
    "h3{font-size:10.5pt;margin:4mm 0 1mm;break-after:avoid}p{margin:0 0 2mm}"
    "table{border-collapse:collapse}th,td{text-align:left;vertical-align:top;padding:.6mm 3mm .6mm "
    "0;font-weight:normal}"
    "th[scope=row]{color:#444;white-space:nowrap}.facts td{overflow-wrap:anywhere}p.mono{break-after:avoid}"
    ".checks th+td{white-space:nowrap}"
    "thead th{font-weight:bold}"
    ".wide{width:100%}tr{break-inside:avoid}"
    ".fingerprint{display:flex;gap:6mm;align-items:center;break-inside:avoid}.fingerprint "
    "td{padding-right:2mm;white-space:nowrap}"
    ".hex,.mono,pre{font-family:\"Liberation Mono\",\"DejaVu Sans Mono\",monospace;font-size:9pt}"
    ".qr{width:36mm;height:36mm;flex:none}"
    ".banner{border:2px solid #000;padding:2mm 4mm;margin:3mm 0;font-weight:bold;font-size:12pt}"
    ".bad{font-weight:bold}.sign td{height:14mm;vertical-align:bottom;border-bottom:1px solid #000}"
    ".sign th,.sign thead td{border:0}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid #999;padding:2mm;margin:0}"
    "section.key{break-before:auto}";

static void
put_head(struct page *page)
{
    bool rehearsal = hs_record_is_rehearsal(page->record), passed = hs_record_has_passed(page->record);

    put(page,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    put(page, rehearsal ? "Rehearsal: " : "Key ceremony: ");
    put_text(page, text_of(page->root, "ceremony"));
    put(page, "</title><style>");
    put(page, style);
    put(page, "</style></head><body>\n<h1>");
    put_text(page, text_of(page->root, "ceremony"));
    put(page, "</h1>\n<p>");
    put(page, rehearsal ? "Record of the rehearsal of a key ceremony of " : "Record of a key ceremony of ");
    put_text(page, text_of(page->root, "organisation"));
    put(page, "</p>\n");
    if (page->bad_count > 0)
        put(page, "<p class=\"banner\">THIS RECORD DOES NOT HOLD: see the checks below.</p>\n");
    if (!passed) {
        put(page, "<p class=\"banner\">FAILED: ");
        put_text(page, text_of(page->root, "failure"));
        put(page, "</p>\n");
    }
    if (rehearsal)
        put(page, "<p class=\"banner\">A REHEARSAL: its keys were never stored, and are not for use.</p>\n");
}

static void
put_what(struct page *page)
{
    const hs_json_value *clock = hs_json_member(page->root, "clock"),
                        *begun = hs_json_member(page->root, "begun_before");
    char difference[64];

    (void)snprintf(difference, sizeof difference, "%lld s",
                   (long long)hs_json_integer(hs_json_member(clock, "difference_s")));
    put(page, "<section><h2>What and when</h2><table class=\"facts\">\n");
    put_row(page, "purpose", text_of(page->root, "purpose"));
    if (text_of(page->root, "reference")[0] != 0)
        put_row(page, "reference", text_of(page->root, "reference"));
    put_row(page, "started", text_of(page->root, "started"));
    put_row(page, "finished", text_of(page->root, "finished"));
    for (size_t i = 0; i < hs_json_length(begun); i++)
        put_row(page, "begun before", text_of(hs_json_element(begun, i), NULL));
    put_row(page, "another clock said", text_of(clock, "other_clock"));
    if (strcmp(text_of(clock, "other_clock"), "not compared") != 0)
        put_row(page, "difference", difference);
    put_row(page, "clock synchronised", text_of(clock, "synchronised"));
    put_row(page, "confirmed at", text_of(page->root, "confirmed_by"));
    put_row(page, "made by", text_of(page->root, "tool"));
    put(page, "</table></section>\n");
}

static void
put_people(struct page *page)
{
    const hs_json_value *people = hs_json_member(page->root, "participants");

    put(page, "<section><h2>Who</h2><table class=\"wide sign\"><thead><tr><th>name</th><th>role</th><th>was there</th>"
              "<th>signature, date</th></tr></thead>\n");
    for (size_t i = 0; i < hs_json_length(people); i++) {
        const hs_json_value *person = hs_json_element(people, i);
        put(page, "<tr>");
        put_cell(page, text_of(person, "name"));
        put_cell(page, text_of(person, "role"));
        put_cell(page, text_of(person, "confirmed"));
        put(page, "<td style=\"width:38%\"></td></tr>\n");
    }
    put(page, "</table></section>\n");
}

static void
put_token(struct page *page)
{
    static const char *const token_members[] = {"label",    "serial",   "model", "manufacturer",
                                                "firmware", "hardware", "uri"};
    static const char *const module_members[] = {"path",        "sha256",  "manufacturer",
                                                 "description", "version", "cryptoki"};
    const hs_json_value *token = hs_json_member(page->root, "token"), *module = hs_json_member(page->root, "module");
    char count[32];

    (void)snprintf(count, sizeof count, "%zu", hs_json_length(hs_json_member(token, "mechanisms")));
    put(page, "<section><h2>The token</h2><table class=\"facts\">\n");
    for (size_t i = 0; i < HS_ARRAY_LEN(token_members); i++)
        put_row(page, token_members[i], text_of(token, token_members[i]));
    put_row(page, "mechanisms", count);
    put(page, "</table><h3>Its PKCS#11 library</h3><table class=\"facts\">\n");
    for (size_t i = 0; i < HS_ARRAY_LEN(module_members); i++)
        put_row(page, module_members[i], text_of(module, module_members[i]));
    put_row(page, "on the machine", text_of(page->root, "host"));
    put(page, "</table></section>\n");
}

static void
put_attributes(struct page *page, const hs_json_value *key)
{
    const hs_json_value *attributes = hs_json_member(key, "attributes");

    put(page, "<h3>Attributes, read by ");
    put_text(page, text_of(key, "read_back_by"));
    put(page, "</h3><table><thead><tr><th>attribute</th><th>wanted</th><th>the token</th><th></th></tr></thead>\n");
    for (size_t i = 0; i < hs_json_length(attributes); i++) {
        const hs_json_value *attribute = hs_json_element(attributes, i);
        const char *reported = text_of(attribute, "reported");
        put(page, strcmp(text_of(attribute, "verdict"), "ok") == 0 ? "<tr>" : "<tr class=\"bad\">");
        put_cell(page, text_of(attribute, "name"));
        put_cell(page, text_of(attribute, "wanted"));
        put_cell(page, strcmp(reported, "yes") == 0  ? "says yes"
                       : strcmp(reported, "no") == 0 ? "says no"
                                                     : "does not report");
        put_cell(page, text_of(attribute, "verdict"));
        put(page, "</tr>\n");
    }
    put(page, "</table>\n");
}

static void
put_attack(struct page *page, const hs_json_value *key)
{
    const hs_json_value *attack = hs_json_member(key, "attack");
    size_t held = 0, not_offered = 0, count = hs_json_length(attack);
    char line[200];

    for (size_t i = 0; i < count; i++) {
        held += strcmp(text_of(hs_json_element(attack, i), "outcome"), "held") == 0;
        not_offered += strcmp(text_of(hs_json_element(attack, i), "outcome"), "not offered") == 0;
    }
    (void)snprintf(line, sizeof line,
                   "%zu attempts to get the key: %zu refused, %zu not offered by the token, %zu successful.", count,
                   held, not_offered, count - held - not_offered);
    put(page, "<h3>Attack</h3><p>");
    put(page, line);
    put(page, "</p><table>\n");
    for (size_t i = 0; i < count; i++) {
        const hs_json_value *attempt = hs_json_element(attack, i);
        const char *outcome = text_of(attempt, "outcome");
        if (strcmp(outcome, "not offered") == 0)
            continue;
        put(page, strcmp(outcome, "held") == 0 ? "<tr>" : "<tr class=\"bad\">");
        put_cell(page, text_of(attempt, "attempt"));
        put_cell(page, outcome);
        put_cell(page, text_of(attempt, "answer"));
        put(page, "</tr>\n");
    }
    put(page, "</table>\n");
}

static void
put_key(struct page *page, const hs_json_value *key)
{
    static const struct {
        const char *name, *member;
    } lines[] = {{"for", "purpose"},
                 {"algorithm", "alg"},
                 {"signs from", "start"},
                 {"until", "end"},
                 {"clients", "clients"},
                 {"id on the token", "id"},
                 {"uri", "uri"},
                 {"the token did not take", "left_out"},
                 {"start on the token", "start_on_token"},
                 {"end on the token", "end_on_token"}};
    struct hs_buf thumbprint = {0};
    const char *kid = text_of(key, "kid");

    put(page, "<section class=\"key\"><h2>Key ");
    put_text(page, text_of(key, "label"));
    put(page, "</h2><table class=\"facts\">\n");
    for (size_t i = 0; i < HS_ARRAY_LEN(lines); i++)
        if (text_of(key, lines[i].member)[0] != 0)
            put_row(page, lines[i].name, text_of(key, lines[i].member));
    put(page, "</table>\n");
    /* A kid that is none is told by the checks. */
    if (hs_base64url_decode(hs_span_str(kid), &thumbprint, NULL) == HSMART_OK && thumbprint.len == HS_SHA256_LEN) {
        put(page, "<h3>Its thumbprint (RFC 7638), which is the kid</h3><p class=\"mono\">");
        put_text(page, kid);
        put(page, "</p>\n");
        put_fingerprint(page, hs_span_buf(&thumbprint), kid, "the kid as a QR code");
    }
    if (hs_json_length(hs_json_member(key, "attributes")) > 0)
        put_attributes(page, key);
    if (hs_json_length(hs_json_member(key, "attack")) > 0)
        put_attack(page, key);
    put(page, "</section>\n");
    hs_buf_clear(&thumbprint);
}

static void
put_record(struct page *page)
{
    char qr[100];
    const char *previous = text_of(page->root, "previous_sha256");

    (void)snprintf(qr, sizeof qr, "sha256:%s", page->record->sha256_hex);
    put(page, "<section><h2>This record</h2><p>Its SHA-256, by which the next record is chained to it:</p>\n");
    put_fingerprint(page, HS_SPAN_OF(page->record->sha256), qr, "the digest of the record as a QR code");
    put(page, "<table class=\"facts\">\n");
    put_row(page, "the record before", previous[0] != 0 ? previous : "none");
    if (text_of(page->root, "rehearsal_sha256")[0] != 0)
        put_row(page, "the rehearsal", text_of(page->root, "rehearsal_sha256"));
    for (size_t i = 0; i < hs_json_length(hs_json_member(page->root, "signers")); i++) {
        const hs_json_value *signer = hs_json_element(hs_json_member(page->root, "signers"), i);
        put_row(page,
                strcmp(text_of(signer, "who"), "a new key") == 0 ? "signed by a new key" : "signed by the organisation",
                text_of(signer, "kid"));
    }
    put(page, "</table></section>\n");
}

/* Line by line: a line end is the one control character that a plan may have. */
static void
put_lines(struct page *page, struct hs_span text)
{
    for (size_t at = 0; at < text.len && page->code == HSMART_OK;) {
        struct hs_buf line = {0};
        size_t len = 0;
        while (at + len < text.len && text.data[at + len] != '\n')
            len++;
        page->code = hs_buf_append(&line, (struct hs_span){text.data + at, len}, &page->err);
        for (size_t i = 0; i < line.len; i++)
            if (line.data[i] == '\t' || line.data[i] == '\r')
                line.data[i] = ' ';
        put_text(page, hs_buf_text(&line));
        put(page, "\n");
        hs_buf_clear(&line);
        at += len + 1;
    }
}

static void
put_plan(struct page *page)
{
    const hs_json_value *plan = hs_json_member(page->root, "plan");
    struct hs_buf digest = {0};
    char qr[100];

    put(page, "<section><h2>The plan</h2>\n");
    if (hs_text_parse_hex(text_of(plan, "sha256"), &digest, NULL) == HSMART_OK && digest.len == HS_SHA256_LEN) {
        (void)snprintf(qr, sizeof qr, "sha256:%s", text_of(plan, "sha256"));
        put(page, "<p>Its SHA-256, which was confirmed:</p>\n");
        put_fingerprint(page, hs_span_buf(&digest), qr, "the digest of the plan as a QR code");
    }
    put(page, "<pre>");
    put_lines(page, hs_json_string(hs_json_member(plan, "text")));
    put(page, "</pre></section>\n");
    hs_buf_clear(&digest);
}

static void
put_files(struct page *page)
{
    const hs_json_value *files = hs_json_member(page->root, "files");

    if (hs_json_length(files) == 0)
        return;
    put(page, "<section><h2>Files written with it</h2><table>\n");
    for (size_t i = 0; i < hs_json_length(files); i++) {
        put(page, "<tr>");
        put_cell(page, text_of(hs_json_element(files, i), "name"));
        put(page, "<td class=\"mono\">");
        put_text(page, text_of(hs_json_element(files, i), "sha256"));
        put(page, "</td></tr>\n");
    }
    put(page, "</table></section>\n");
}

enum hsmart_code
hs_record_html(const struct hs_record *record, struct hs_buf *out, size_t *out_bad_count, hsmart_err *err)
{
    static const struct hs_record_expectation nothing = {0};
    struct hs_buf text = {.max_len = HS_RECORD_HTML_MAX_LEN};
    struct page page = {
        .out = &text, .record = record, .root = record->doc.root, .checks = {.max_len = HS_RECORD_HTML_MAX_LEN}};
    const hs_json_value *keys = hs_json_member(page.root, "keys");
    enum hsmart_code code = hs_record_verify(record, &nothing, add_check, &page, &page.bad_count, err);

    if (code != HSMART_OK)
        goto out;
    put_head(&page);
    put_what(&page);
    put_people(&page);
    put_token(&page);
    for (size_t i = 0; i < hs_json_length(keys); i++)
        put_key(&page, hs_json_element(keys, i));
    put_record(&page);
    put_plan(&page);
    put_files(&page);
    put_checks(&page);
    put(&page, "</body></html>\n");
    code = page.code;
    if (code != HSMART_OK && err != NULL)
        *err = page.err;
    if (code == HSMART_OK) {
        *out_bad_count = page.bad_count;
        hs_buf_move(&text, out);
    }
out:
    hs_buf_clear(&page.checks);
    hs_buf_clear(&text);
    return code;
}
