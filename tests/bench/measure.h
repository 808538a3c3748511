/* SPDX-License-Identifier: Apache-2.0 */
/* measure: the table of what can be measured. */
#ifndef HUSK_TESTS_BENCH_MEASURE_H
#define HUSK_TESTS_BENCH_MEASURE_H

#include <stdio.h>

#include "tests/bench/session.h"

#define SERIES_MAX 4096

/* Numbers of one quantity. Written to stdout as one line of JSON. */
struct series {
	const char *name, *unit;
	double values[SERIES_MAX];
	unsigned int n;
};

struct measurement {
	const char *name, *help;
	unsigned int default_count;
	unsigned int n_clients;
	bool is_cold; /* starts its kernels itself */
	/* Takes `count` samples and prints them. 0 or -errno with s->trouble set. */
	int (*run)(struct session *s, const struct measurement *m, unsigned int count);
	/* for run_execute and run_request */
	const char *unit, *setup, *code, *msg_type;
	unsigned int expect; /* SEEN_* that have to be there */
	/* for run_bulk */
	uint64_t expect_lines, expect_bytes;
};

const struct measurement *measurement_find(const char *name, size_t name_size) must_check;
void measurements_list(FILE *file);

#endif
