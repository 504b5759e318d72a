#include "eval/letters.h"

#include <unicode/ucasemap.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include <stdlib.h>

int32_t letters_next(const char *text, size_t len, size_t *at)
{
    const char *from = text + *at;
    int32_t i = 0, window = len - *at > 8 ? 8 : (int32_t)(len - *at);
    UChar32 c = 0;
    U8_NEXT((const uint8_t *)from, i, window, c);
    *at += (size_t)i;
    return c < 0 ? 0xfffd : c;
}

int32_t letters_previous(const char *text, size_t *at)
{
    if (*at == 0)
        return 0;
    int32_t window = *at > 8 ? 8 : (int32_t)*at, i = window;
    const char *from = text + (*at - (size_t)window);
    UChar32 c = 0;
    U8_PREV((const uint8_t *)from, 0, i, c);
    *at -= (size_t)(window - i);
    return c < 0 ? 0xfffd : c;
}

bool letters_is_word(int32_t c)
{
    return u_isalpha(c) || u_getIntPropertyValue(c, UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}

bool letters_is_space(int32_t c)
{
    return u_isspace(c);
}

bool letters_is_digit(int32_t c)
{
    return u_isdigit(c);
}

bool letters_is_upper(int32_t c)
{
    return u_hasBinaryProperty(c, UCHAR_UPPERCASE);
}

bool letters_is_lower(int32_t c)
{
    return u_hasBinaryProperty(c, UCHAR_LOWERCASE);
}

bool letters_is_title(int32_t c)
{
    return u_charType(c) == U_TITLECASE_LETTER;
}

bool letters_is_currency(int32_t c)
{
    return u_charType(c) == U_CURRENCY_SYMBOL;
}

bool letters_joins(int32_t c)
{
    return letters_is_word(c) || (U_GET_GC_MASK(c) & U_GC_M_MASK) != 0;
}

bool letters_is_unspaced(int32_t c)
{
    UErrorCode code = U_ZERO_ERROR;
    switch (uscript_getScript(c, &code)) {
    case USCRIPT_HAN:
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
    case USCRIPT_BOPOMOFO:
    case USCRIPT_HANGUL:
    case USCRIPT_THAI:
    case USCRIPT_LAO:
    case USCRIPT_KHMER:
    case USCRIPT_MYANMAR:
        return true;
    default:
        return false;
    }
}

char *letters_lower(const char *text, size_t len, size_t *lower_len)
{
    UErrorCode code = U_ZERO_ERROR;
    /* Letters grow by half at most; ill-formed bytes stay, or become U+FFFD in some versions. */
    if (len > (size_t)INT32_MAX / 3 - 1)
        return NULL;
    UCaseMap *map = ucasemap_open("", 0, &code);
    char *data = malloc(len * 3 + 1);
    int32_t used = 0;
    if (data && len > 0 && U_SUCCESS(code))
        used = ucasemap_utf8ToLower(map, data, (int32_t)(len * 3), text, (int32_t)len, &code);
    ucasemap_close(map);
    if (U_FAILURE(code)) {
        free(data);
        return NULL;
    }
    *lower_len = (size_t)used;
    if (data)
        data[used] = '\0';
    return data;
}

const char *letters_strip(const char *text, size_t *len)
{
    size_t start = 0, end = *len;
    for (size_t at = 0; at < *len && letters_is_space(letters_next(text, *len, &at));)
        start = at;
    for (size_t at = end; at > start && letters_is_space(letters_previous(text, &at));)
        end = at;
    *len = end - start;
    return text + start;
}
