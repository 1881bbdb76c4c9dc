"""Functions of C99 that read the words and the tokens of texts."""

from __future__ import annotations

from collections.abc import Mapping

FUNCTIONS: Mapping[str, str] = {
    "reader_of": r"""
typedef struct {
    const unsigned char *at;
    int lower, dot, cased;
} reader; /* of the characters of a text in UTF-8 */

static reader reader_of(const char *text, int lower)
{
    reader found = {(const unsigned char *)(text == NULL ? "" : text), 0, 0, 0};
    found.lower = lower;
    return found;
}
""",
    "in_ranges": r"""
static int in_ranges(long code, const int32_t *ranges, long count)
{
    long low = 0, high = count / 2;
    while (low < high) {
        long middle = (low + high) / 2;
        if (code > ranges[2 * middle + 1]) low = middle + 1;
        else high = middle;
    }
    return low < count / 2 && code >= ranges[2 * low];
}
""",
    "is_word": r"""
static int is_word(long code)
{
    return in_ranges(code, WORDS, (long)(sizeof WORDS / sizeof *WORDS));
}
""",
    "is_space": r"""
static int is_space(long code)
{
    return in_ranges(code, SPACES, (long)(sizeof SPACES / sizeof *SPACES));
}
""",
    "decoded": r"""
static long decoded(const unsigned char **at) /* 0 at the end of the text */
{
    const unsigned char *s = *at;
    int more = *s >= 0xF0 ? 3 : *s >= 0xE0 ? 2 : *s >= 0xC0 ? 1 : 0, k;
    long code = more == 3 ? *s & 0x07 : more == 2 ? *s & 0x0F : more == 1 ? *s & 0x1F : *s;
    if (code == 0 && more == 0) return 0;
    if (*s >= 0x80 && more == 0) code = 0xFFFD;
    *at = s + 1;
    for (k = 1; k <= more; k++) {
        if ((s[k] & 0xC0) != 0x80) return 0xFFFD;
        code = code * 64 + (s[k] & 0x3F);
    }
    *at = s + 1 + more;
    return code == 0 || code > 0x10FFFF ? 0xFFFD : code;
}
""",
    "small": r"""
static long small(long code)
{
    for (long n = 0; n + 3 < (long)(sizeof LOWER / sizeof *LOWER); n += 4)
        if (code >= LOWER[n] && code <= LOWER[n + 1] && (code - LOWER[n]) % LOWER[n + 2] == 0)
            return code + LOWER[n + 3];
    return code;
}
""",
    "sigma": r"""
static long sigma(const reader *r) /* final after a letter and before none */
{
    const unsigned char *at = r->at;
    long code = 0;
    if (!r->cased) return 0x3C3;
    do code = decoded(&at);
    while (in_ranges(code, IGNORABLE, (long)(sizeof IGNORABLE / sizeof *IGNORABLE)));
    return in_ranges(code, CASED, (long)(sizeof CASED / sizeof *CASED)) ? 0x3C3 : 0x3C2;
}
""",
    "next": r"""
static long next(reader *r) /* 0 at the end of the text */
{
    long code = r->dot ? 0x307 : decoded(&r->at), found = code;
    r->dot = 0;
    if (!r->lower) return code;
    if (code == 0x130) {
        found = 'i';
        r->dot = 1;
    } else {
        found = small(code);
    }
    /* SIGMA */
    return found;
}
""",
    "put": r"""
static long put(char *text, long length, long limit, long code) /* if there is space */
{
    int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const int first[] = {0, 0xC0, 0xE0, 0xF0};
    if (length > limit) return length;
    text[length++] = (char)(first[more] | code >> 6 * more);
    while (more--) text[length++] = (char)(0x80 | (code >> 6 * more & 0x3F));
    text[length] = 0;
    return length;
}
""",
    "position": r"""
static long position(const char *text, const char *const *known, const long *places, long count)
{
    long low = 0, high = count - 1;
    while (text != NULL && low <= high) {
        long middle = (low + high) / 2;
        int order = strcmp(text, known[middle]);
        if (order == 0) return places[middle];
        if (order < 0) high = middle - 1;
        else low = middle + 1;
    }
    return -1;
}
""",
    "count_terms": r"""
static void count_terms(const char *text, const char *const *terms, const long *places, long count,
    const char *const *stops, const long *of_stops, long stop_count, int lower, long low, long high,
    double *found)
{
    char words[NGRAM][LONGEST + 5], term[NGRAM * (LONGEST + 5)];
    reader r = reader_of(text, lower);
    long code = next(&r), number = 0;
    for (long k = 0; k < count; k++) found[k] = 0;
    while (code) {
        char *word = words[number % NGRAM];
        long length = 0, letters = 0;
        int counted;
        for (; code && is_word(code); code = next(&r), letters++)
            length = put(word, length, LONGEST, code);
        if (length > LONGEST) word[0] = 0; /* no term has it */
        counted = letters > 1
            && (length > LONGEST || position(word, stops, of_stops, stop_count) < 0);
        number += counted;
        for (long size = low; counted && size <= high && size <= number; size++) {
            long place;
            strcpy(term, words[(number - size) % NGRAM]);
            for (long k = number - size + 1; k < number; k++) {
                strcat(term, " ");
                strcat(term, words[k % NGRAM]);
            }
            place = position(term, terms, places, count);
            if (place >= 0) found[place]++;
        }
        while (code && !is_word(code)) code = next(&r);
    }
}
""",
    "tokens": r"""
static void tokens(const char *text, const char *const *items, const long *places, long count,
    int words, int lower, long longest, long steps, long *found)
{
    reader r = reader_of(text, lower);
    long code = next(&r), number = 0;
    for (long k = 0; k <= steps; k++) found[k] = 0;
    while (code && number < longest) {
        char item[LONGEST + 5];
        int word = words && is_word(code);
        long length = put(item, 0, LONGEST, code), place = 0;
        if (words && !word && is_space(code)) {
            code = next(&r);
            continue;
        }
        for (code = next(&r); word && code && is_word(code); code = next(&r))
            length = put(item, length, LONGEST, code);
        if (length <= LONGEST) place = 1 + position(item, items, places, count);
        if (number < steps) found[1 + number] = place;
        number++;
    }
    found[0] = number;
}
""",
    "kind_of": r"""
static int kind_of(long code) /* 2 of a word, 1 a space, 0 another mark */
{
    return is_word(code) ? 2 : is_space(code);
}
""",
    "pair_token": r"""
static long pair_token(long a, long b, const long *merges, long count) /* -1 if it is none */
{
    long low = 0, high = count - 1;
    while (low <= high) {
        long middle = (low + high) / 2;
        const long *one = merges + 3 * middle;
        if (a == one[0] && b == one[1]) return one[2];
        if (a < one[0] || (a == one[0] && b < one[1])) high = middle - 1;
        else low = middle + 1;
    }
    return -1;
}
""",
    "byte_pairs": r"""
static void byte_pairs(const char *text, const long *merges, long count, int lower, long longest,
    long steps, long *found)
{
    reader r = reader_of(text, lower);
    long code = next(&r), number = 0;
    for (long k = 0; k <= steps; k++) found[k] = 0;
    while (code && number < longest) {
        char bytes[41 * 4 + 1];
        long pair[41 * 4], length = 0;
        reader ahead = r;
        long following = next(&ahead);
        int kind = kind_of(code);
        if (kind == 1 && following && kind_of(following) != 1) { /* a space before a word */
            length = put(bytes, 0, 4, code);
            code = next(&r);
            kind = kind_of(code);
        }
        for (long size = 0; size < 40 && code && kind_of(code) == kind; size++, code = next(&r))
            length = put(bytes, length, 41 * 4, code);
        for (long k = 0; k < length; k++) pair[k] = (unsigned char)bytes[k];
        for (;;) {
            long first = -1, kept = 0;
            for (long k = 0; k + 1 < length; k++) {
                long token = pair_token(pair[k], pair[k + 1], merges, count);
                if (token >= 0 && (first < 0 || token < first)) first = token;
            }
            if (first < 0) break;
            for (long k = 0; k < length; k++, kept++) {
                int merged = k + 1 < length
                    && pair_token(pair[k], pair[k + 1], merges, count) == first;
                pair[kept] = merged ? first : pair[k];
                k += merged;
            }
            length = kept;
        }
        for (long k = 0; k < length && number < longest; k++, number++)
            if (number < steps) found[1 + number] = pair[k];
    }
    found[0] = number;
}
""",
}
"""Those that a file has if it calls them, after what they call themselves."""

SIGMA = """
    if (code == 0x3A3) found = sigma(r);
    if (!in_ranges(code, IGNORABLE, (long)(sizeof IGNORABLE / sizeof *IGNORABLE)))
        r->cased = in_ranges(code, CASED, (long)(sizeof CASED / sizeof *CASED));
""".removeprefix("\n")
"""What takes the place of a comment in `next` where a capital sigma matters."""
