/* What every other public header builds on: visibility and result checking. */
#ifndef HSMART_EXPORT_H
#define HSMART_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define HSMART_API __attribute__((visibility("default")))
#define HSMART_MUST_CHECK __attribute__((warn_unused_result))
#define HSMART_PRINTF(format_index, first_arg) __attribute__((format(printf, format_index, first_arg)))
#else
#define HSMART_API
#define HSMART_MUST_CHECK
#define HSMART_PRINTF(format_index, first_arg)
#endif

#endif
