/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: main() of a fuzzer in an ordinary build: runs it over files, once each. Arguments are files or folders; without
 * any, the folder tests/fuzz/corpus/NAME of the source tree, for a program named fuzz-NAME (top_srcdir: environment).
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "protocol/base/util.h"
#include "tests/fuzz/fuzz.h"

static void closedirp(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

static void fclosep(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

/* The input lies in memory of exactly its size, so that a sanitizer sees the first byte beyond it. */
static int run_file(const char *path)
{
	_cleanup_(fclosep) FILE *file = fopen(path, "rb");
	_cleanup_(freep) uint8_t *data = NULL;
	long size;

	if (!file || fseek(file, 0, SEEK_END) < 0 || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) < 0) {
		(void)fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
		return -EIO;
	}
	data = malloc(size > 0 ? (size_t)size : 1);
	if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) {
		(void)fprintf(stderr, "replay: %s cannot be read\n", path);
		return -EIO;
	}
	(void)LLVMFuzzerTestOneInput(data, (size_t)size);
	return 0;
}

/* Number of files run, or negative. */
static int run_folder(const char *path)
{
	_cleanup_(closedirp) DIR *dir = opendir(path);
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return run_file(path) < 0 ? -EIO : 1;
	while ((entry = readdir(dir))) {
		_cleanup_(freep) char *file = NULL;

		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&file, "%s/%s", path, entry->d_name) < 0)
			return -ENOMEM;
		if (run_file(file) < 0)
			return -EIO;
		n++;
	}
	return n;
}

static int run_default(const char *program)
{
	_cleanup_(freep) char *path = NULL;
	const char *top = getenv("top_srcdir"), *name = strstr(program, "fuzz-");

	while (name && strstr(name + 1, "fuzz-"))
		name = strstr(name + 1, "fuzz-");
	if (!name || asprintf(&path, "%s/tests/fuzz/corpus/%s", top ? top : ".", name + strlen("fuzz-")) < 0) {
		path = NULL;
		return -EINVAL;
	}
	return run_folder(path);
}

int main(int argc, char **argv)
{
	int total = argc > 1 ? 0 : run_default(argv[0]);

	for (int i = 1; i < argc && total >= 0; i++) {
		int n = run_folder(argv[i]);

		total = n < 0 ? n : total + n;
	}
	if (total <= 0) {
		(void)fprintf(stderr, "%s: nothing was replayed\n", argv[0]);
		return 1;
	}
	(void)printf("%s: %d inputs\n", argv[0], total);
	return 0;
}
