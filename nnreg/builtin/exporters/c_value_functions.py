"""Functions of C99 that read labels, dates, and texts to hash."""

from __future__ import annotations

from collections.abc import Mapping

FUNCTIONS: Mapping[str, str] = {
    "counted_label": r"""
static void counted_label(const char *from, const char *to, const char *const *labels,
    const long *places, long count, double *found)
{
    char label[LONGEST + 5];
    const unsigned char *at = (const unsigned char *)from;
    const char *end = from;
    long length = 0, place;
    while ((const char *)at < to) { /* without the spaces around it */
        const unsigned char *before = at;
        int space = is_space(decoded(&at));
        if (space && end == from && (const char *)before == from) from = end = (const char *)at;
        if (!space) end = (const char *)at;
    }
    if (end == from) return;
    for (; from < end && length <= LONGEST; length++) label[length] = *from++;
    label[length] = 0;
    place = length > LONGEST ? -1 : position(label, labels, places, count);
    found[place < 0 ? count : place]++;
}
""",
    "hex_digits": r"""
static const char *hex_digits(const char *s, long *value) /* four of them; NULL if they are not */
{
    *value = 0;
    for (int k = 0; k < 4; k++, s++) {
        static const char all[] = "0123456789abcdefABCDEF";
        const char *one = *s ? strchr(all, *s) : NULL;
        if (one == NULL) return NULL;
        *value = *value * 16 + (one - all < 16 ? one - all : one - all - 6);
    }
    return s;
}
""",
    "json_text": r"""
static const char *json_text(const char *s, char *text) /* after the first quote; NULL if wrong */
{
    long length = 0, code = 0, second = 0;
    int dropped = 0;
    for (text[0] = 0; *s != '"'; ) {
        static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
        const unsigned char *at = (const unsigned char *)s;
        if (*at < 32) return NULL;
        if (*s != '\\') {
            code = decoded(&at);
            s = (const char *)at;
        } else if (s[1] == 'u') {
            s = hex_digits(s + 2, &code);
            if (s != NULL && code >= 0xD800 && code < 0xDC00 && s[0] == '\\' && s[1] == 'u'
                && hex_digits(s + 2, &second) != NULL && second >= 0xDC00 && second < 0xE000) {
                code = 0x10000 + (code - 0xD800) * 0x400 + second - 0xDC00;
                s += 6;
            }
            if (s == NULL || code == 0) return NULL;
        } else {
            const char *one = s[1] ? strchr(escapes, s[1]) : NULL;
            if (one == NULL) return NULL;
            code = meant[one - escapes];
            s += 2;
        }
        if (dropped && !is_space(code)) length = LONGEST + 1;
        if (length == 0 && is_space(code)) continue;
        if (length + 4 > LONGEST && is_space(code)) dropped = 1;
        else length = put(text, length, LONGEST, code);
    }
    if (length > LONGEST) { /* no label is as long */
        memset(text, '?', LONGEST + 1);
        text[LONGEST + 1] = 0;
    }
    return s + 1;
}
""",
    "count_list": r"""
static int count_list(const char *s, const char *const *labels, const long *places, long count,
    double *found) /* after the first bracket; 0 if it is not a list of labels as JSON */
{
    static const char white[] = " \t\n\r";
    s += strspn(s, white);
    if (*s == ']') return s[1 + strspn(s + 1, white)] == 0;
    for (;; s++) {
        char item[LONGEST + 5];
        size_t size, digits;
        s += strspn(s, white);
        size = strcspn(s, ",] \t\n\r");
        digits = strspn(s + (*s == '-'), "0123456789");
        if (*s == '"') {
            s = json_text(s + 1, item);
            if (s == NULL) return 0;
            if (strcmp(item, "None") != 0)
                counted_label(item, item + strlen(item), labels, places, count, found);
            size = 0;
        } else if (size == 4 && strncmp(s, "true", 4) == 0) {
            counted_label("True", "True" + 4, labels, places, count, found);
        } else if (size == 5 && strncmp(s, "false", 5) == 0) {
            counted_label("False", "False" + 5, labels, places, count, found);
        } else if (digits > 0 && digits + (*s == '-') == size
            && (digits == 1 || s[*s == '-'] != '0')) {
            const char *first = s[0] == '-' && s[1] == '0' ? s + 1 : s;
            counted_label(first, s + size, labels, places, count, found);
        } else if (size != 4 || strncmp(s, "null", 4) != 0) {
            return 0;
        }
        s += size;
        s += strspn(s, white);
        if (*s == ']') return s[1 + strspn(s + 1, white)] == 0;
        if (*s != ',') return 0;
    }
}
""",
    "count_labels": r"""
static void count_labels(const char *text, const char *const *labels, const long *places,
    long count, const char *separator, double *found)
{
    const char *s = text == NULL ? "" : text;
    int list = *s == '[', valid = 1;
    for (long k = 0; k <= count; k++) found[k] = 0;
    if (list) valid = count_list(s + 1, labels, places, count, found);
    while (!list && s != NULL) {
        const char *end = strstr(s, separator);
        counted_label(s, end == NULL ? s + strlen(s) : end, labels, places, count, found);
        s = end == NULL ? NULL : end + strlen(separator);
    }
    for (long k = 0; !valid && k <= count; k++) found[k] = k == count ? NAN : 0;
}
""",
    "ascii_number": r"""
static int ascii_number(const char *text, char *number) /* 2 if an integer, 1 if not, 0 if none */
{
    const unsigned char *at = (const unsigned char *)text;
    long length = 0, digits = 0, part = 0, power = 0, spaces = 0, code;
    int state = 0; /* 0 before the point, 1 after it, 2 and 3 after the e and its sign */
    while ((code = decoded(&at)) != 0) {
        long zero = '0';
        for (size_t k = 0; code >= 128 && k < sizeof DIGITS / sizeof *DIGITS; k++)
            if (code >= DIGITS[k] && code < DIGITS[k] + 10) zero = DIGITS[k];
        if (is_space(code)) {
            spaces += length > 0;
            continue;
        }
        if (spaces || length >= NUMBER) return 0;
        if (code >= zero && code <= zero + 9) {
            *(state == 0 ? &digits : state == 1 ? &part : &power) += 1;
            state = state == 2 ? 3 : state;
            code += '0' - zero;
        } else if (code == '.' && state == 0) {
            state = 1;
        } else if ((code == 'e' || code == 'E') && state < 2 && digits + part > 0) {
            state = 2;
        } else if ((code == '+' || code == '-') && (length == 0 || state == 2)) {
            state = state == 2 ? 3 : state;
        } else {
            return 0;
        }
        number[length++] = (char)code;
    }
    number[length] = 0;
    if (digits + part == 0 || (state > 1 && power == 0)) return 0;
    return state == 0 && digits <= 300 ? 2 : 1;
}
""",
    "canonical": r"""
static const char *canonical(const char *text, char *number) /* a number as it always is written */
{
    char given[NUMBER + 1];
    int kind = ascii_number(text, given), precision = 0, power;
    double value;
    size_t sign = text[0] == '+' || text[0] == '-', leading;
    const unsigned char *first = (const unsigned char *)text + sign;
    if (kind == 0) return text;
    if (decoded(&first) == '0') { /* a code such as 007 */
        const unsigned char *second = first;
        long code = decoded(&second), digit = code >= '0' && code <= '9';
        for (size_t k = 0; k < sizeof DIGITS / sizeof *DIGITS; k++)
            digit = digit || (code >= DIGITS[k] && code < DIGITS[k] + 10);
        if (digit) return text;
    }
    if (kind == 2) {
        sign = given[0] == '+' || given[0] == '-';
        leading = sign + strspn(given + sign, "0");
        if (given[leading] == 0) return "0";
        number[0] = '-';
        strcpy(number + (given[0] == '-'), given + leading);
        return number;
    }
    value = strtod(given, NULL);
    if (!(fabs(value) <= DBL_MAX)) return text;
    if (value == floor(value)) {
        snprintf(number, NUMBER + 1, "%.0f", value + 0.0);
        return value == 0 ? "0" : number;
    }
    do { /* the fewest digits, also where those above a power of two are not the nearest */
        char *digit = number + (value < 0) + (precision ? precision + 1 : 0);
        snprintf(number, NUMBER + 1, "%.*e", precision, value);
        if (strtod(number, NULL) == value) break;
        *digit = (char)(*digit + (*digit < '9'));
    } while (strtod(number, NULL) != value && precision++ < 17);
    power = atoi(strchr(number, 'e') + 1);
    if (power >= -4) snprintf(number, NUMBER + 1, "%.*f", precision - power, value);
    return number;
}
""",
    "hash": r"""
static void hash(const char *text, uint32_t seed, long size, double *found)
{
    /* MurmurHash3 of Austin Appleby */
    char number[NUMBER + 1];
    const unsigned char *data;
    size_t length;
    uint32_t state = seed;
    found[0] = found[1] = 0;
    if (text == NULL) return;
    data = (const unsigned char *)canonical(text, number);
    length = strlen((const char *)data);
    for (size_t at = 0; at < length; at += 4) {
        uint32_t word = 0;
        for (size_t k = 0; k < 4 && at + k < length; k++) word |= (uint32_t)data[at + k] << 8 * k;
        word *= 0xCC9E2D51u;
        state ^= (word << 15 | word >> 17) * 0x1B873593u;
        if (at + 4 <= length) state = (state << 13 | state >> 19) * 5 + 0xE6546B64u;
    }
    state ^= (uint32_t)length;
    state = (state ^ state >> 16) * 0x85EBCA6Bu;
    state = (state ^ state >> 13) * 0xC2B2AE35u;
    state ^= state >> 16;
    found[1] = state >> 31 ? -1 : 1;
    found[0] = fmod(state >> 31 ? 4294967296.0 - state : state, (double)size);
}
""",
    "matches": r"""
static const char LETTERS[] = "YmdHMSfz";
enum {YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, FRACTION, ZONE};

typedef struct {
    long value[8];
    char separator;
} date;

static int matches(const char *p, const char *t, date *found) /* p is a pattern of a date */
{
    long low, high, n = 0, value = 0;
    for (;; p++) {
        if (*p == 0) return *t == 0;
        if (*p == '(') { /* with what is in parentheses, or without */
            date kept = *found;
            int depth = 0;
            if (matches(p + 1, t, found)) return 1;
            *found = kept;
            do {
                depth += *p == '(' ? 1 : *p == ')' ? -1 : 0;
                p += *p == '\'' ? 2 : 1;
            } while (depth);
            p--;
        } else if (*p == '\'') {
            if (*t++ != *++p) return 0;
        } else if (*p == '[') {
            const char *end = strchr(p, ']'), *one = *t ? strchr(p + 1, *t) : NULL;
            if (one == NULL || one >= end) return 0;
            p = end;
            t++;
        } else if (*p == '/' || *p == '=') {
            if (*t == 0) return 0;
            if (*p == '/' ? strchr("-/.", *t) == NULL : *t != found->separator) return 0;
            found->separator = *t++;
        } else if (*p != ')') {
            break;
        }
    }
    if (*p == 'z' || *p == 'Z') {
        const char *names[] = {"UTC", "GMT", "Z"};
        int east = *t == '+' ? 60 : -60;
        found->value[ZONE] = 0;
        for (int k = *p == 'z' ? 2 : 0; k < 3; k++)
            if (strncmp(t, names[k], strlen(names[k])) == 0)
                return matches(p + 1, t + strlen(names[k]), found);
        if ((*t != '+' && *t != '-') || strspn(t + 1, "0123456789") < 2) return 0;
        value = ((t[1] - '0') * 10 + t[2] - '0') * 60;
        if (value > 23 * 60) return 0;
        n = 3 + (t[3] == ':');
        if (t[n] <= '5' && strspn(t + n, "0123456789") >= 2) {
            found->value[ZONE] = east * (value + (t[n] - '0') * 10 + t[n + 1] - '0');
            if (matches(p + 1, t + n + 2, found)) return 1;
        }
        found->value[ZONE] = east * value;
        return *p == 'Z' && matches(p + 1, t + 3, found);
    }
    low = p[1] - '0';
    high = p[2] == '9' ? (long)strlen(t) : p[2] - '0';
    while (n < high && t[n] >= '0' && t[n] <= '9') n++;
    for (; n >= low; n--) {
        value = 0;
        for (long k = 0; k < (*p == 'f' ? 6 : n); k++)
            value = value * 10 + (k < n ? t[k] - '0' : 0);
        found->value[strchr(LETTERS, *p) - LETTERS] = value;
        if (matches(p + 3, t + n, found)) return 1;
    }
    return 0;
}
""",
    "day_number": r"""
static long day_number(long year, long month, long day) /* since 1970; the month from 0 */
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    long past = year - 1, leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return past * 365 + past / 4 - past / 100 + past / 400 - 719162 + before[month]
        + (month > 1 && leap) + day - 1;
}
""",
    "date_parts": r"""
static void date_parts(const char *text, const char *const *patterns, long count, double *found)
{
    static const double none[] = {0, 0, 1970, 0, 1, 0, 365, 1, 0};
    memcpy(found, none, sizeof none);
    for (; text != NULL && count > 0; count--, patterns++) {
        date one = {{0}, 0};
        long *v = one.value, days, seconds, year, month = 11, thursday, of_week;
        v[YEAR] = 1970;
        v[MONTH] = v[DAY] = 1;
        if (!matches(*patterns, text, &one)) continue;
        if (v[YEAR] < 1 || v[MONTH] < 1 || v[MONTH] > 12 || v[DAY] < 1) continue;
        days = day_number(v[YEAR], v[MONTH] - 1, v[DAY]);
        if (days >= day_number(v[YEAR] + v[MONTH] / 12, v[MONTH] % 12, 1)) continue;
        if (v[HOUR] > 23 || v[MINUTE] > 59 || v[SECOND] > 59) continue;
        seconds = (v[HOUR] * 60 + v[MINUTE]) * 60 + v[SECOND] - v[ZONE];
        while (seconds < 0) seconds += 86400, days--;
        while (seconds >= 86400) seconds -= 86400, days++;
        year = v[YEAR] + (days >= day_number(v[YEAR] + 1, 0, 1));
        year -= days < day_number(v[YEAR], 0, 1);
        while (days < day_number(year, month, 1)) month--;
        thursday = days + 3 - ((days + 3) % 7 + 7) % 7;
        of_week = year + (thursday >= day_number(year + 1, 0, 1))
            - (thursday < day_number(year, 0, 1));
        found[0] = (double)days + ((double)seconds + (double)v[FRACTION] / 1e6) / 86400;
        found[1] = (double)seconds;
        found[2] = (double)year;
        found[3] = (double)month;
        found[4] = (double)(days - day_number(year, month, 1) + 1);
        found[5] = (double)(days - day_number(year, 0, 1));
        found[6] = (double)(day_number(year + 1, 0, 1) - day_number(year, 0, 1));
        found[7] = (double)((thursday - day_number(of_week, 0, 1)) / 7 + 1);
        found[8] = 1;
        return;
    }
}
""",
}
"""Those that a file has if it calls them, after what they call themselves."""
