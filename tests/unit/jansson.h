/* SPDX-License-Identifier: Apache-2.0 */
/* jansson: the library beside protocol/wire/json.h, whose names it shares. Its json_is_*() macros do not work here. */
#ifndef HUSK_TESTS_UNIT_JANSSON_H
#define HUSK_TESTS_UNIT_JANSSON_H

#define json_type jansson_type
#define JSON_NULL JANSSON_NULL
#define JSON_FALSE JANSSON_FALSE
#define JSON_TRUE JANSSON_TRUE
#define JSON_STRING JANSSON_STRING
#define JSON_ARRAY JANSSON_ARRAY
#define JSON_OBJECT JANSSON_OBJECT
#include <jansson.h>
#undef json_type
#undef JSON_NULL
#undef JSON_FALSE
#undef JSON_TRUE
#undef JSON_STRING
#undef JSON_ARRAY
#undef JSON_OBJECT

#endif
