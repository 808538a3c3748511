/* SPDX-License-Identifier: Apache-2.0 */
/* target: the text "host:port", and which addresses are public. */
#include "kernel/sandbox/target.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define MAX_LABEL 63

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
	c = lower(c);
	return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

/* The port of text from its last colon on; *ret_host what stands before. */
static int split(struct slice text, uint16_t default_port, struct slice *ret_host, uint16_t *ret_port)
{
	size_t end = text.len;
	unsigned port = 0;

	while (end > 0 && is_digit(text.data[end - 1]))
		end--;
	if (end == 0 || text.data[end - 1] != ':') {
		*ret_host = text;
		*ret_port = default_port;
		return default_port ? 0 : -EINVAL;
	}
	if (text.len - end > 5 || text.len == end)
		return -EINVAL;
	for (size_t i = end; i < text.len; i++)
		port = port * 10 + (unsigned)(text.data[i] - '0');
	if (port < 1 || port > UINT16_MAX)
		return -EINVAL;
	*ret_host = slice_from(text.data, end - 1);
	*ret_port = (uint16_t)port;
	return 0;
}

static int read_v6(struct slice host, struct target *t)
{
	char text[INET6_ADDRSTRLEN];

	if (host.len < 3 || host.len - 2 >= sizeof(text) || host.data[host.len - 1] != ']' ||
	    memchr(host.data, '\0', host.len))
		return -EINVAL;
	memcpy(text, host.data + 1, host.len - 2);
	text[host.len - 2] = '\0';
	if (inet_pton(AF_INET6, text, &t->address.v6) != 1)
		return -EINVAL;
	if (IN6_IS_ADDR_UNSPECIFIED(&t->address.v6) || IN6_IS_ADDR_MULTICAST(&t->address.v6) ||
	    IN6_IS_ADDR_V4MAPPED(&t->address.v6) || IN6_IS_ADDR_V4COMPAT(&t->address.v6))
		return -EINVAL;
	t->family = AF_INET6;
	return inet_ntop(AF_INET6, &t->address.v6, t->host, sizeof(t->host)) ? 0 : -EINVAL;
}

/* In t->host is a name whose last label looks like a number: then it is four of them, or nothing. */
static int read_v4(struct target *t)
{
	uint32_t address;

	if (inet_pton(AF_INET, t->host, &t->address.v4) != 1)
		return -EINVAL;
	address = ntohl(t->address.v4.s_addr);
	if (address >> 24 == 0 || address >> 28 == 14 || address == UINT32_MAX)
		return -EINVAL;
	t->family = AF_INET;
	return 0;
}

/* "7", "0x7f": resolvers read these as parts of an address. */
static bool is_number(const char *label)
{
	if (label[0] == '0' && label[1] == 'x')
		return label[2 + strspn(label + 2, "0123456789abcdef")] == '\0';
	return label[0] && label[strspn(label, "0123456789")] == '\0';
}

static int read_name(struct slice host, enum target_form form, struct target *t)
{
	size_t label = 0, n_labels = 0, skip = 0;
	const char *last;

	if (host.len > 2 && host.data[0] == '*' && host.data[1] == '.' && form == TARGET_RULE)
		skip = 2;
	if (host.len == 0 || host.len > TARGET_MAX_HOST)
		return -EINVAL;
	for (size_t i = 0; i < host.len; i++)
		t->host[i] = lower(host.data[i]);
	t->host[host.len] = '\0';
	for (size_t i = skip; i <= host.len; i++) {
		if (i < host.len && is_name_char(host.data[i])) {
			label++;
			continue;
		}
		if ((i < host.len && host.data[i] != '.') || label == 0 || label > MAX_LABEL ||
		    host.data[i - 1] == '-' || host.data[i - label] == '-')
			return -EINVAL;
		n_labels++;
		label = 0;
	}
	last = strrchr(t->host, '.');
	if (is_number(last ? last + 1 : t->host))
		return skip ? -EINVAL : read_v4(t);
	t->family = AF_UNSPEC;
	return skip && n_labels < 2 ? -EINVAL : 0;
}

int target_parse(struct slice text, enum target_form form, uint16_t default_port, struct target *ret)
{
	struct target t = { .family = AF_UNSPEC };
	struct slice host;
	int r = split(text, default_port, &host, &t.port);

	if (r < 0)
		return r;
	r = host.len > 0 && host.data[0] == '[' ? read_v6(host, &t) : read_name(host, form, &t);
	if (r == 0)
		*ret = t;
	return r;
}

bool target_is_below(const char *pattern, const char *name)
{
	size_t suffix = strlen(pattern), len = strlen(name);

	if (pattern[0] != '*' || suffix < 2)
		return false;
	suffix--;
	return len > suffix && strcmp(name + len - suffix, pattern + 1) == 0;
}

void target_format(const char *host, uint16_t port, char ret[TARGET_MAX_TEXT])
{
	bool is_v6 = strchr(host, ':') != NULL;

	(void)snprintf(ret, TARGET_MAX_TEXT, "%s%.*s%s:%u", is_v6 ? "[" : "", TARGET_MAX_HOST, host, is_v6 ? "]" : "",
		       port);
}

/* The registries of special-purpose addresses of IANA, as far as they are not public. */
static const struct range4 {
	uint32_t prefix;
	int bits;
	const char *what;
} ranges4[] = {
#define V4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
	{ V4(0, 0, 0, 0), 8, "an address of this network" },
	{ V4(10, 0, 0, 0), 8, "a private address" },
	{ V4(100, 64, 0, 0), 10, "an address shared behind a carrier's NAT" },
	{ V4(127, 0, 0, 0), 8, "a loopback address" },
	{ V4(169, 254, 0, 0), 16, "a link-local address" },
	{ V4(172, 16, 0, 0), 12, "a private address" },
	{ V4(192, 0, 0, 0), 24, "a reserved address" },
	{ V4(192, 0, 2, 0), 24, "a documentation address" },
	{ V4(192, 88, 99, 0), 24, "a reserved address" },
	{ V4(192, 168, 0, 0), 16, "a private address" },
	{ V4(198, 18, 0, 0), 15, "a benchmarking address" },
	{ V4(198, 51, 100, 0), 24, "a documentation address" },
	{ V4(203, 0, 113, 0), 24, "a documentation address" },
	{ V4(224, 0, 0, 0), 4, "a multicast address" },
	{ V4(240, 0, 0, 0), 4, "a reserved address" },
#undef V4
};

static const char *judge4(uint32_t address)
{
	for (size_t i = 0; i < ARRAY_SIZE(ranges4); i++)
		if (((address ^ ranges4[i].prefix) >> (32 - ranges4[i].bits)) == 0)
			return ranges4[i].what;
	return NULL;
}

/* Of what is not refused by the first rows the last lets through what is global unicast. */
static const struct range6 {
	uint8_t prefix[16];
	int bits;
	const char *what; /* NULL: public */
} ranges6[] = {
	{ { 0 }, 128, "an address of this network" },
	{ { [15] = 1 }, 128, "a loopback address" },
	{ { [10] = 0xff, [11] = 0xff }, 96, "an IPv4 address written as IPv6" },
	{ { 0xfc }, 7, "a private address" },
	{ { 0xfe, 0x80 }, 10, "a link-local address" },
	{ { 0xfe, 0xc0 }, 10, "a private address" },
	{ { 0xff }, 8, "a multicast address" },
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, "a documentation address" },
	{ { 0x20, 0x01 }, 23, "an address of a tunnel" },
	{ { 0x20, 0x02 }, 16, "an address of a tunnel" },
	{ { 0x3f, 0xff }, 20, "a documentation address" },
	{ { 0x20 }, 3, NULL },
	{ { 0 }, 0, "a reserved address" },
};

static bool is_in(const uint8_t address[16], const struct range6 *range)
{
	int bytes = range->bits / 8, bits = range->bits % 8;

	if (memcmp(address, range->prefix, (size_t)bytes) != 0)
		return false;
	return bits == 0 || ((address[bytes] ^ range->prefix[bytes]) >> (8 - bits)) == 0;
}

static const char *judge6(const uint8_t address[16])
{
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

	if (memcmp(address, nat64, sizeof(nat64)) == 0)
		return judge4((uint32_t)address[12] << 24 | (uint32_t)address[13] << 16 | (uint32_t)address[14] << 8 |
			      address[15]);
	for (size_t i = 0; i < ARRAY_SIZE(ranges6); i++)
		if (is_in(address, &ranges6[i]))
			return ranges6[i].what;
	return "a reserved address";
}

bool target_is_public(const struct sockaddr *address, const char **ret_why)
{
	const char *why = "an address of another kind";
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->sa_family == AF_INET) {
		memcpy(&v4, address, sizeof(v4));
		why = judge4(ntohl(v4.sin_addr.s_addr));
	} else if (address->sa_family == AF_INET6) {
		memcpy(&v6, address, sizeof(v6));
		why = judge6(v6.sin6_addr.s6_addr);
	}
	if (ret_why)
		*ret_why = why;
	return why == NULL;
}
