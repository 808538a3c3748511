/* SPDX-License-Identifier: Apache-2.0 */
/* test-leftover: the end of a long output, and its file in a directory that a tenant can write to. */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/front/leftover.h"

static char dir[] = "/tmp/husk-leftover.XXXXXX";
static struct leftover_place place;

static void path_of(const char *name, char path[256])
{
	(void)snprintf(path, 256, "%s/%s", dir, name);
}

static int make_place(void **state)
{
	(void)state;
	(void)snprintf(dir + strlen(dir) - 6, 7, "XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	place = (struct leftover_place){ .workspace_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), .name = "/workspace" };
	return place.workspace_fd < 0 ? -1 : 0;
}

static int remove_place(void **state)
{
	char path[256], command[300];

	(void)state;
	(void)close(place.workspace_fd);
	path_of("", path);
	(void)snprintf(command, sizeof(command), "rm -r '%s'", dir);
	return system(command);
}

static struct leftover *fresh(uint32_t turn, size_t tail, unsigned pieces)
{
	struct leftover *l = NULL;

	assert_int_equal(leftover_new(&place, turn, tail, pieces, &l), 0);
	return l;
}

static void assert_file(const char *name, const char *text)
{
	char path[256], got[4096] = "";
	FILE *file;

	path_of(name, path);
	file = fopen(path, "r");
	assert_non_null(file);
	(void)!fread(got, 1, sizeof(got) - 1, file);
	assert_int_equal(fclose(file), 0);
	assert_string_equal(got, text);
}

static bool exists(const char *name)
{
	char path[256];

	path_of(name, path);
	return access(path, F_OK) == 0;
}

static void assert_described(const struct leftover *l, const char *part)
{
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);

	leftover_describe(l, &out);
	buffer_append_char(&out, '\0');
	assert_contains(out.data, part);
}

static void assert_piece(const struct leftover *l, unsigned i, uint32_t stream, const char *text)
{
	uint32_t got;
	struct slice s;

	assert_true(leftover_piece(l, i, &got, &s));
	assert_int_equal(got, stream);
	assert_slice_is(s, text);
}

static void test_all_of_it_is_in_the_file_and_its_end_is_kept(void **state)
{
	struct leftover *l = fresh(7, 8, 4);
	struct slice s;
	uint32_t stream;

	(void)state;
	leftover_text(l, 0, SLICE_LIT("0123456789"));
	leftover_text(l, 1, SLICE_LIT("ab"));
	assert_file(".husk/output-7.txt", "0123456789ab");
	assert_piece(l, 0, 0, "456789");
	assert_piece(l, 1, 1, "ab");
	assert_false(leftover_piece(l, 2, &stream, &s));
	assert_described(l, "4 bytes of text left out here, all from here on is in /workspace/.husk/output-7.txt");
	(void)leftover_free(l);
}

static void test_messages_are_lines_of_the_file(void **state)
{
	struct leftover *l = fresh(8, 8, 4);

	(void)state;
	leftover_message(l, "display_data", SLICE_LIT("{\"data\":{}}"));
	leftover_message(l, "display_data", SLICE_LIT("{}"));
	assert_file(".husk/output-8.txt", "\n{\"msg_type\":\"display_data\",\"content\":{\"data\":{}}}\n"
		    "\n{\"msg_type\":\"display_data\",\"content\":{}}\n");
	assert_described(l, "reached; 2 messages left out");
	leftover_unread(l);
	assert_described(l, "3 messages left out here, all from here on is in /workspace/.husk/output-8.txt but for 1 too large to be read]");
	(void)leftover_free(l);
}

static void test_streams_that_change_all_the_time_lose_their_oldest_pieces(void **state)
{
	struct leftover *l = fresh(9, 100, 3);
	struct slice s;
	uint32_t stream;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		leftover_text(l, i % 2, SLICE_LIT("x"));
	for (unsigned i = 0; i < 3; i++)
		assert_piece(l, i, (i + 1) % 2, "x");
	assert_false(leftover_piece(l, 3, &stream, &s));
	(void)leftover_free(l);
}

static void test_the_tail_is_what_was_written_last(void **state)
{
	static char all[20000];
	uint64_t seed = 99;

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)('a' + test_random_below(&seed, 26));
	for (size_t size = 1; size < 200; size += 13) {
		struct leftover *l = fresh(10, size, 4);
		size_t at = 0;
		struct slice s;
		uint32_t stream;

		while (at < sizeof(all)) {
			size_t n = 1 + (size_t)test_random_below(&seed, 300);

			n = MIN(n, sizeof(all) - at);

			leftover_text(l, 0, slice_from(all + at, n));
			at += n;
			assert_true(leftover_piece(l, 0, &stream, &s));
			assert_in_range(s.len, MIN(at, size * 3 / 4), size);
			assert_memory_equal(s.data, all + at - s.len, s.len);
		}
		(void)leftover_free(l);
	}
}

static void test_a_character_that_was_cut_is_not_shown(void **state)
{
	struct leftover *l = fresh(11, 4, 4);

	(void)state;
	leftover_text(l, 0, SLICE_LIT("\xe2\x82\xac\xe2\x82\xac")); /* two of three bytes each */
	assert_piece(l, 0, 0, "\xe2\x82\xac");
	(void)leftover_free(l);
}

static void test_without_a_workspace_the_end_is_kept_all_the_same(void **state)
{
	struct leftover_place nowhere = { .workspace_fd = -1, .name = "/workspace" };
	_cleanup_(buffer_deinitp) struct buffer out = BUFFER_INIT(0);
	struct leftover *l = NULL;

	(void)state;
	assert_int_equal(leftover_new(&nowhere, 1, 4, 4, &l), 0);
	leftover_text(l, 0, SLICE_LIT("0123456789"));
	assert_piece(l, 0, 0, "6789");
	leftover_describe(l, &out);
	assert_slice_is(buffer_slice(&out), "\n[husk: the limit of output was reached; 6 bytes of text left out here]\n");
	(void)leftover_free(l);
}

static void test_files_that_are_there_are_used_in_turn(void **state)
{
	char path[256];
	int files[2];
	struct leftover_place given = { .workspace_fd = -1, .name = "/workspace", .files = files, .n_files = 2 };
	static const char *const texts[] = { "first, and longest", "second", "third" };
	struct leftover *l = NULL;

	(void)state;
	for (int i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/given-%d", dir, i + 1);
		files[i] = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		assert_true(files[i] >= 0);
	}
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(leftover_new(&given, 70 + i, 4, 4, &l), 0);
		leftover_text(l, 0, slice_str(texts[i]));
		assert_described(l, i == 1 ? "/workspace/.husk/output-2.txt" : "/workspace/.husk/output-1.txt");
		(void)leftover_free(l);
	}
	assert_file("given-1", "third");
	assert_file("given-2", "second");
	given.n_used = 0;
	path_of("given-1", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(leftover_new(&given, 81, 4, 4, &l), 0);
	assert_described(l, "could not be written: No such file or directory");
	(void)leftover_free(l);
	for (int i = 0; i < 2; i++)
		assert_int_equal(close(files[i]), 0);
}

static void test_only_the_last_files_are_kept(void **state)
{
	char name[64];

	(void)state;
	for (uint32_t turn = 100; turn < 100 + LEFTOVER_MAX_FILES + 3; turn++)
		(void)leftover_free(fresh(turn, 1, 4));
	for (uint32_t turn = 100; turn < 100 + LEFTOVER_MAX_FILES + 3; turn++) {
		(void)snprintf(name, sizeof(name), ".husk/output-%u.txt", turn);
		assert_int_equal(exists(name), turn >= 103);
	}
}

/* What a tenant may have put in the way: nothing outside is written, and the sentence says that there is no file. */
static void refuse(const char *why)
{
	struct leftover *l = fresh(12, 8, 4);

	leftover_text(l, 0, SLICE_LIT("0123456789"));
	assert_piece(l, 0, 0, "23456789");
	assert_described(l, why);
	(void)leftover_free(l);
}

static void test_a_link_in_the_way_is_not_followed(void **state)
{
	char path[256], outside[256];

	(void)state;
	path_of("outside", outside);
	assert_int_equal(mkdir(outside, 0777), 0);
	path_of(".husk", path);
	assert_int_equal(symlink("outside", path), 0);
	refuse("could not be written");
	assert_false(exists("outside/output-12.txt"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/tmp", path), 0);
	refuse("could not be written");
}

static void test_a_file_or_a_pipe_in_the_way_is_not_used(void **state)
{
	char path[256];

	(void)state;
	path_of(".husk", path);
	assert_int_equal(mkfifo(path, 0666), 0);
	refuse("could not be written: Not a directory");
}

static void test_what_has_the_name_of_the_file_is_replaced(void **state)
{
	char path[256];
	struct leftover *l;

	(void)state;
	path_of(".husk", path);
	assert_int_equal(mkdir(path, 0777), 0);
	path_of("victim", path);
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0644)), 0);
	path_of(".husk/output-13.txt", path);
	assert_int_equal(symlink("../victim", path), 0);
	l = fresh(13, 8, 4);
	leftover_text(l, 0, SLICE_LIT("text"));
	assert_file(".husk/output-13.txt", "text");
	assert_file("victim", "");
	(void)leftover_free(l);
	/* A directory cannot be. */
	path_of(".husk/output-12.txt", path);
	assert_int_equal(mkdir(path, 0777), 0);
	refuse("could not be written: File exists");
}

#define T(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_all_of_it_is_in_the_file_and_its_end_is_kept),
		T(test_messages_are_lines_of_the_file),
		T(test_streams_that_change_all_the_time_lose_their_oldest_pieces),
		T(test_the_tail_is_what_was_written_last),
		T(test_a_character_that_was_cut_is_not_shown),
		T(test_without_a_workspace_the_end_is_kept_all_the_same),
		T(test_files_that_are_there_are_used_in_turn),
		T(test_only_the_last_files_are_kept),
		T(test_a_link_in_the_way_is_not_followed),
		T(test_a_file_or_a_pipe_in_the_way_is_not_used),
		T(test_what_has_the_name_of_the_file_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
