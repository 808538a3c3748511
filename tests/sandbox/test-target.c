/* SPDX-License-Identifier: Apache-2.0 */
/* test-target: places in the network as people write them, and which addresses are public. */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "kernel/sandbox/target.h"
#include "tests/unit/test.h"

static void test_hosts_and_ports_are_read(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
		int family;
	} rows[] = {
		{ "example.org:443", "example.org", 443, AF_UNSPEC },
		{ "EXAMPLE.Org:1", "example.org", 1, AF_UNSPEC },
		{ "a_b.c-d.e1:65535", "a_b.c-d.e1", 65535, AF_UNSPEC },
		{ "localhost", "localhost", 80, AF_UNSPEC },
		{ "host1", "host1", 80, AF_UNSPEC },
		{ "1.example:443", "1.example", 443, AF_UNSPEC },
		{ "0xfg:443", "0xfg", 443, AF_UNSPEC },
		{ "10.0.0.5:3141", "10.0.0.5", 3141, AF_INET },
		{ "127.0.0.1", "127.0.0.1", 80, AF_INET },
		{ "[::1]:8080", "::1", 8080, AF_INET6 },
		{ "[2001:DB8:0:0::1]", "2001:db8::1", 80, AF_INET6 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct target t;

		assert_row(i, target_parse(slice_str(rows[i].text), TARGET_REQUEST, 80, &t) == 0);
		assert_string_equal(t.host, rows[i].host);
		assert_row(i, t.port == rows[i].port && t.family == rows[i].family);
	}
}

static void test_what_is_no_place_or_hides_an_address_is_refused(void **state)
{
	static const char *const rows[] = {
		"", ":", ":80", "example.org:", "example.org:0", "example.org:65536", "example.org:000080", "example.org:-1", "example.org:8o",
		"example.org", "exa mple.org:80", "example.org :80", "user@example.org:80", "example.org/:80", "example..org:80", ".example.org:80",
		"example.org.:80", "-a.org:80", "a-.org:80", "\xc3\xa4.org:80", "*.example.org:80", "a:b:80", "::1:80", "[::1:80", "[]:80", "[:]:80",
		"[fe80::1%eth0]:80", "[::ffff:10.0.0.1]:80", "[::10.0.0.1]:80", "[::]:80", "[ff02::1]:80", "[::1]x:80", "0.0.0.0:80", "0.1.2.3:80",
		"224.0.0.1:80", "255.255.255.255:80", "127.1:80", "2130706433:80", "0x7f000001:80", "0x7f.1:80", "010.0.0.1:80", "127.0.0.1.:80",
		"1.2.3.4.5:80", "example.0x7f:80", "example.1:80", "0x:80",
	};
	char label[80], name[300];
	struct target t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_row(i, target_parse(slice_str(rows[i]), TARGET_REQUEST, 0, &t) == -EINVAL);
	assert_int_equal(target_parse(slice_from("a\0b:80", 6), TARGET_REQUEST, 0, &t), -EINVAL);
	memset(label, 'a', sizeof(label));
	memcpy(label + 63, ".b:80", 6);
	assert_int_equal(target_parse(slice_str(label), TARGET_REQUEST, 0, &t), 0);
	memcpy(label + 63, "a.b:80", 7);
	assert_int_equal(target_parse(slice_str(label), TARGET_REQUEST, 0, &t), -EINVAL);
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 2 ? '.' : 'a';
	assert_int_equal(target_parse(slice_from(name, 253), TARGET_REQUEST, 80, &t), 0);
	assert_int_equal(target_parse(slice_from(name, 255), TARGET_REQUEST, 80, &t), -EINVAL);
}

static void test_rules_may_be_for_all_names_below_one(void **state)
{
	struct target t;

	(void)state;
	assert_int_equal(target_parse(SLICE_LIT("*.Example.org:443"), TARGET_RULE, 0, &t), 0);
	assert_string_equal(t.host, "*.example.org");
	assert_true(target_is_below(t.host, "a.example.org"));
	assert_true(target_is_below(t.host, "a.b.example.org"));
	assert_false(target_is_below(t.host, "example.org"));
	assert_false(target_is_below(t.host, ".example.org"));
	assert_false(target_is_below(t.host, "aexample.org"));
	assert_false(target_is_below("example.org", "a.example.org"));
	for (size_t i = 0; i < 7; i++) {
		static const char *const rows[] = { "*:443",       "*.org:443",        "*.*.org:443",
						    "a.*.org:443", "*example.org:443", "*.0.0.1:443",
						    "*.1:4" };

		assert_row(i, target_parse(slice_str(rows[i]), TARGET_RULE, 0, &t) == -EINVAL);
	}
}

static void test_only_public_addresses_are_public(void **state)
{
	static const struct {
		const char *address;
		const char *why; /* part of it, NULL: public */
	} rows[] = {
		{ "1.1.1.1", NULL },
		{ "9.255.255.255", NULL },
		{ "11.0.0.0", NULL },
		{ "100.63.255.255", NULL },
		{ "100.128.0.0", NULL },
		{ "172.15.255.255", NULL },
		{ "172.32.0.0", NULL },
		{ "223.255.255.255", NULL },
		{ "0.0.0.0", "this network" },
		{ "0.255.255.255", "this network" },
		{ "10.0.0.0", "private" },
		{ "10.255.255.255", "private" },
		{ "100.64.0.0", "NAT" },
		{ "100.127.255.255", "NAT" },
		{ "127.0.0.1", "loopback" },
		{ "127.255.255.255", "loopback" },
		{ "169.254.169.254", "link-local" },
		{ "172.16.0.0", "private" },
		{ "172.31.255.255", "private" },
		{ "192.0.0.1", "reserved" },
		{ "192.0.2.1", "documentation" },
		{ "192.88.99.1", "reserved" },
		{ "192.168.0.1", "private" },
		{ "198.18.0.1", "benchmarking" },
		{ "198.19.255.255", "benchmarking" },
		{ "203.0.113.1", "documentation" },
		{ "224.0.0.1", "multicast" },
		{ "239.255.255.255", "multicast" },
		{ "240.0.0.1", "reserved" },
		{ "255.255.255.255", "reserved" },
		{ "2606:4700::1111", NULL },
		{ "2a00:1450:4001::1", NULL },
		{ "64:ff9b::1.1.1.1", NULL },
		{ "::", "this network" },
		{ "::1", "loopback" },
		{ "::ffff:1.1.1.1", "IPv4" },
		{ "::ffff:127.0.0.1", "IPv4" },
		{ "::127.0.0.1", "reserved" },
		{ "64:ff9b::127.0.0.1", "loopback" },
		{ "64:ff9b::10.0.0.1", "private" },
		{ "64:ff9b:1::1.1.1.1", "reserved" },
		{ "100::1", "reserved" },
		{ "2001::1", "tunnel" },
		{ "2001:db8::1", "documentation" },
		{ "2002:7f00:1::1", "tunnel" },
		{ "3fff::1", "documentation" },
		{ "5f00::1", "reserved" },
		{ "fc00::1", "private" },
		{ "fd12:3456::1", "private" },
		{ "fe80::1", "link-local" },
		{ "febf::1", "link-local" },
		{ "fec0::1", "private" },
		{ "ff02::1", "multicast" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sockaddr_in v4 = { .sin_family = AF_INET };
		struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
		bool is_v6 = strchr(rows[i].address, ':') != NULL;
		const char *why = NULL;

		assert_int_equal(inet_pton(is_v6 ? AF_INET6 : AF_INET, rows[i].address,
					   is_v6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr),
				 1);
		assert_row(i, target_is_public(is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4, &why) ==
				  !rows[i].why);
		if (rows[i].why)
			assert_contains(why, rows[i].why);
	}
	assert_false(target_is_public(&(struct sockaddr){ .sa_family = AF_UNIX }, NULL));
}

static void test_places_are_written_as_they_are_read(void **state)
{
	char text[TARGET_MAX_TEXT];

	(void)state;
	target_format("example.org", 443, text);
	assert_string_equal(text, "example.org:443");
	target_format("::1", 80, text);
	assert_string_equal(text, "[::1]:80");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts_and_ports_are_read),
		cmocka_unit_test(test_what_is_no_place_or_hides_an_address_is_refused),
		cmocka_unit_test(test_rules_may_be_for_all_names_below_one),
		cmocka_unit_test(test_only_public_addresses_are_public),
		cmocka_unit_test(test_places_are_written_as_they_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
