/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json-string: JSON strings: validation, decoding, encoding.
 *
 * Nearly all bytes that pass here are inside strings (code, output, base64), so both directions have one fast loop that
 * looks for the next byte that is not plain ASCII, 16 at a time, and slow code for that byte.
 */
#include "protocol/wire/json.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "protocol/wire/json-private.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Finding the next byte of a string that needs a look: '"', '\\', controls, and what is not ASCII. */

static bool is_plain(byte c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

#ifdef __SSE2__
#define BLOCK 16

/* Bit i is set when byte i is not plain. Signed comparison takes controls and non-ASCII in one. */
static unsigned block_mask(__m128i v)
{
	__m128i odd = _mm_cmplt_epi8(v, _mm_set1_epi8(0x20));

	odd = _mm_or_si128(odd, _mm_cmpeq_epi8(v, _mm_set1_epi8('"')));
	odd = _mm_or_si128(odd, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
	return (unsigned)_mm_movemask_epi8(odd);
}

const byte *json_skip_plain(const byte *p, const byte *end)
{
	for (; end - p >= BLOCK; p += BLOCK) {
		unsigned mask = block_mask(_mm_loadu_si128((const __m128i *)(const void *)p));

		if (mask)
			return p + __builtin_ctz(mask);
	}
	while (p < end && is_plain(*p))
		p++;
	return p;
}

/* Copies plain bytes; *to has room for the rest of the input and one block. Returns the first byte not copied. */
static const byte *copy_plain(const byte *p, const byte *end, byte **to)
{
	byte *out = *to;

	for (; end - p >= BLOCK; p += BLOCK, out += BLOCK) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		unsigned mask = block_mask(v);

		_mm_storeu_si128((__m128i *)(void *)out, v);
		if (mask) {
			*to = out + __builtin_ctz(mask);
			return p + __builtin_ctz(mask);
		}
	}
	while (p < end && is_plain(*p))
		*out++ = *p++;
	*to = out;
	return p;
}
#else
#define BLOCK 8

#define EACH(c) (0x0101010101010101ULL * (c))

/* Not 0 when one of 8 bytes may not be plain: high bit, below 0x20, '"' or '\\' (Mycroft's test for a zero byte). */
static uint64_t block_mask(uint64_t v)
{
	uint64_t quote = v ^ EACH('"'), backslash = v ^ EACH('\\');

	return (v | (v - EACH(0x20)) | (quote - EACH(1)) | (backslash - EACH(1))) & EACH(0x80);
}

const byte *json_skip_plain(const byte *p, const byte *end)
{
	uint64_t v;

	for (; end - p >= BLOCK; p += BLOCK) {
		memcpy(&v, p, sizeof(v));
		if (block_mask(v))
			break;
	}
	while (p < end && is_plain(*p))
		p++;
	return p;
}

static const byte *copy_plain(const byte *p, const byte *end, byte **to)
{
	const byte *stop = json_skip_plain(p, end);

	memcpy(*to, p, (size_t)(stop - p));
	*to += stop - p;
	return stop;
}
#endif

/*
 * UTF-8 (Unicode 15, table 3-7). Returns the length of the sequence at p when it is well-formed, else minus the length
 * of its maximal subpart; *ret_cut says whether only the end of the input makes it ill-formed.
 */
static int utf8_length(const byte *p, const byte *end, bool *ret_cut)
{
	byte low = 0x80, high = 0xbf;
	int need, have;

	*ret_cut = false;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return -1;
	need = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0; /* shorter forms exist */
	else if (p[0] == 0xed)
		high = 0x9f; /* surrogates */
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f; /* beyond U+10FFFF */
	for (have = 1; have < need; have++, low = 0x80, high = 0xbf) {
		if (p + have == end) {
			*ret_cut = true;
			return -have;
		}
		if (p[have] < low || p[have] > high)
			return -have;
	}
	return need;
}

/* Validation. */

static int hex_digit(byte c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool scan_escape(struct scanner *s)
{
	if (s->end - s->pos < 2)
		return false;
	switch (s->pos[1]) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		s->pos += 2;
		return true;
	case 'u':
		if (s->end - s->pos < 6)
			return false;
		for (int i = 2; i < 6; i++)
			if (hex_digit(s->pos[i]) < 0)
				return false;
		s->pos += 6;
		return true;
	default:
		return false;
	}
}

bool json_scan_string(struct scanner *s)
{
	bool cut;

	s->pos++;
	for (;;) {
		int n;

		s->pos = json_skip_plain(s->pos, s->end);
		if (s->pos == s->end || *s->pos < 0x20)
			return false;
		if (*s->pos == '"') {
			s->pos++;
			return true;
		}
		if (*s->pos == '\\') {
			if (!scan_escape(s))
				return false;
			continue;
		}
		do {
			n = utf8_length(s->pos, s->end, &cut);
			if (n < 0)
				return false;
			s->pos += n;
		} while (s->pos < s->end && *s->pos >= 0x80);
	}
}

/* Decoding. */

static size_t put_utf8(uint32_t c, char *to)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static uint32_t decode_hex4(const byte *p)
{
	uint32_t c = 0;

	for (int i = 0; i < 4; i++)
		c = c << 4 | (uint32_t)hex_digit(p[i]);
	return c;
}

/* The \u escape at pos, with its second half when it is a surrogate pair. */
static uint32_t decode_unicode_escape(struct scanner *s)
{
	uint32_t c = decode_hex4(s->pos + 2), low;

	s->pos += 6;
	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (c <= 0xdbff && s->end - s->pos >= 6 && s->pos[0] == '\\' && s->pos[1] == 'u') {
		low = decode_hex4(s->pos + 2);
		if (low >= 0xdc00 && low <= 0xdfff) {
			s->pos += 6;
			return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		}
	}
	return 0xfffd;
}

/* The escape at pos of a valid string as UTF-8 in to. */
static size_t decode_escape(struct scanner *s, char to[4])
{
	byte c = s->pos[1];

	if (c == 'u')
		return put_utf8(decode_unicode_escape(s), to);
	s->pos += 2;
	switch (c) {
	case 'b':
		to[0] = '\b';
		break;
	case 'f':
		to[0] = '\f';
		break;
	case 'n':
		to[0] = '\n';
		break;
	case 'r':
		to[0] = '\r';
		break;
	case 't':
		to[0] = '\t';
		break;
	default:
		to[0] = (char)c;
	}
	return 1;
}

/* Checks that token is one string token and leaves the scanner on what lies between its quotes. */
static bool open_string(struct slice token, struct scanner *ret)
{
	struct scanner s = scanner_init(token);

	if (token.len < 2 || *s.pos != '"' || !json_scan_string(&s) || s.pos != s.end)
		return false;
	*ret = (struct scanner){ (const byte *)token.data + 1, s.end - 1 };
	return true;
}

int json_decode_string(struct slice token, struct buffer *out)
{
	struct scanner s;
	size_t start = out->len;

	if (!open_string(token, &s))
		return -EINVAL;
	/* Decoding never makes a string longer. */
	if (buffer_reserve(out, (size_t)(s.end - s.pos)) < 0)
		return out->failed;
	while (s.pos < s.end) {
		const byte *escape = memchr(s.pos, '\\', (size_t)(s.end - s.pos));
		const byte *stop = escape ? escape : s.end;

		buffer_append(out, s.pos, (size_t)(stop - s.pos));
		s.pos = stop;
		if (escape) {
			char to[4];

			buffer_append(out, to, decode_escape(&s, to));
		}
	}
	if (out->failed)
		out->len = start;
	return out->failed;
}

bool json_string_equals(struct slice token, const char *text)
{
	size_t len = strlen(text);
	struct scanner s;

	/* The usual case: no escapes, so the bytes are the same. */
	if (token.len == len + 2 && memcmp(token.data + 1, text, len) == 0 && !memchr(text, '\\', len))
		return token.data[0] == '"' && token.data[len + 1] == '"';
	if (token.len < len + 2 || !memchr(token.data, '\\', token.len) || !open_string(token, &s))
		return false;
	while (s.pos < s.end) {
		char to[4] = { (char)*s.pos };
		size_t n = 1;

		if (*s.pos == '\\')
			n = decode_escape(&s, to);
		else
			s.pos++;
		if (n > len || memcmp(text, to, n) != 0)
			return false;
		text += n;
		len -= n;
	}
	return len == 0;
}

/* Encoding. */

/* A byte below 0x80 that is not plain; at most 6 bytes. */
static byte *put_escape(byte *out, byte c)
{
	static const char digits[] = "0123456789abcdef";
	static const char shorts[0x20] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r' };

	*out++ = '\\';
	if (c >= 0x20) {
		*out++ = c;
	} else if (shorts[c]) {
		*out++ = (byte)shorts[c];
	} else {
		memcpy(out, "u00", 3);
		out[3] = (byte)digits[c >> 4];
		out[4] = (byte)digits[c & 15];
		out += 5;
	}
	return out;
}

/* Input is encoded in pieces, so that room for the worst case (6 bytes for one) is never more than this times 6. */
#define ENCODE_PIECE 8192
#define ENCODE_WORST 6
#define ENCODE_SLACK BLOCK /* copy_plain() stores whole blocks */
#define UTF8_REST 3        /* a sequence has at most 4 bytes */

/* As many input bytes as surely fit: near the buffer's bound the pieces become short instead of failing early. */
static size_t piece_length(const struct buffer *out, size_t left)
{
	size_t max = out->max ? out->max : BUFFER_MAX_DEFAULT;
	size_t room = out->len < max ? max - out->len : 0;
	size_t fit = room > ENCODE_SLACK + ENCODE_WORST ? (room - ENCODE_SLACK) / ENCODE_WORST : 1;

	return MIN(MIN(left, fit), (size_t)ENCODE_PIECE);
}

/*
 * Encodes from p until stop is reached or passed (a sequence may begin before stop and end behind it, at most at end).
 * Stops early, and says so, at a sequence that only the end of the input cuts, unless final.
 */
static const byte *encode_piece(byte **to, const byte *p, const byte *stop, const byte *end, bool final, bool *ret_cut)
{
	byte *out = *to;

	*ret_cut = false;
	for (;;) {
		int n;
		bool cut;

		p = copy_plain(p, stop, &out);
		if (p >= stop)
			break;
		if (*p < 0x80) {
			out = put_escape(out, *p++);
			continue;
		}
		n = utf8_length(p, end, &cut);
		if (n > 0) {
			memcpy(out, p, (size_t)n);
			out += n;
			p += n;
		} else if (cut && !final) {
			*ret_cut = true;
			break;
		} else {
			memcpy(out, REPLACEMENT, 3);
			out += 3;
			p -= n;
		}
		if (p >= stop)
			break;
	}
	*to = out;
	return p;
}

/*
 * The text may lie in memory that a worker is changing (protocol/link/ring.h): each piece is copied before it is judged,
 * so that what was judged is what is written. The copy has the rest of a sequence that begins in the piece.
 */
size_t json_encode_chunk(struct buffer *out, struct slice text, bool final)
{
	byte piece[ENCODE_PIECE + UTF8_REST];
	size_t len_before = out->len, done = 0;
	bool cut = false;

	while (done < text.len && !cut) {
		size_t left = text.len - done, n = piece_length(out, left), n_copied = MIN(left, n + UTF8_REST);
		byte *to;

		if (buffer_reserve(out, n * ENCODE_WORST + ENCODE_SLACK) < 0) {
			out->len = len_before;
			break;
		}
		memcpy(piece, text.data + done, n_copied);
		__asm__ volatile("" : : : "memory"); /* no second look at text */
		to = (byte *)out->data + out->len;
		done += (size_t)(encode_piece(&to, piece, piece + n, piece + n_copied, final, &cut) - piece);
		out->len = (size_t)(to - (byte *)out->data);
	}
	return done;
}

void json_encode_string(struct buffer *out, struct slice text)
{
	size_t len_before = out->len;

	buffer_append_char(out, '"');
	(void)json_encode_chunk(out, text, true);
	buffer_append_char(out, '"');
	if (out->failed)
		out->len = len_before;
}
