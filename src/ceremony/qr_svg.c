#include "qr_svg.h"

#include <errno.h>
#include <qrencode.h>

#include "err.h"

#define QUIET_ZONE 4 /* modules around it (ISO/IEC 18004) */

/* One subpath for each run of dark modules in a row. */
static enum hsmart_code
put_row(struct hs_buf *out, const unsigned char *row, int width, int y, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (int x = 0; x < width && code == HSMART_OK;) {
        int run = 0;
        while (x + run < width && (row[x + run] & 1) != 0)
            run++;
        if (run > 0)
            code = hs_buf_append_format(out, err, "M%d %dh%dv1h-%dz", x + QUIET_ZONE, y + QUIET_ZONE, run, run);
        x += run + 1;
    }
    return code;
}

enum hsmart_code
hs_qr_svg_append(struct hs_buf *out, const char *text, const char *label, hsmart_err *err)
{
    QRcode *qr = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
    enum hsmart_code code;

    if (qr == NULL)
        return errno == ENOMEM ? hs_err_no_memory(err)
                               : hs_err_set(err, HSMART_INVALID_ARGUMENT, "a text does not fit into a QR code");
    int size = qr->width + 2 * QUIET_ZONE;
    code = hs_buf_append_format(out, err,
                                "<svg class=\"qr\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\" "
                                "shape-rendering=\"crispEdges\"><path d=\"",
                                size, size, label);
    for (int y = 0; y < qr->width && code == HSMART_OK; y++)
        code = put_row(out, qr->data + (size_t)y * (size_t)qr->width, qr->width, y, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(out, "\"/></svg>", err);
    QRcode_free(qr);
    return code;
}
