/* SPDX-License-Identifier: Apache-2.0 */
/* markdown: the rows of a table in a specification, so that tests can compare it with the code. */
#ifndef HUSK_TESTS_UNIT_MARKDOWN_H
#define HUSK_TESTS_UNIT_MARKDOWN_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MARKDOWN_CELLS 8
#define MARKDOWN_CELL_SIZE 128 /* longer cells are cut */

struct markdown_table {
	const char *pos; /* the next line */
	char cells[MARKDOWN_CELLS][MARKDOWN_CELL_SIZE];
	unsigned n_cells;
};

static inline const char *markdown_next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : line + strlen(line);
}

/* The first table behind a line that begins with heading; the table's own heading is passed over. */
static inline bool markdown_find_table(const char *text, const char *heading, struct markdown_table *ret)
{
	const char *line = text;

	while (*line && strncmp(line, heading, strlen(heading)) != 0)
		line = markdown_next_line(line);
	while (*line && *line != '|')
		line = markdown_next_line(line);
	if (*line == '\0')
		return false;
	ret->pos = markdown_next_line(markdown_next_line(line));
	return true;
}

static inline bool markdown_next_row(struct markdown_table *t)
{
	const char *p = t->pos, *end = markdown_next_line(p);

	if (*p != '|')
		return false;
	memset(t->cells, 0, sizeof(t->cells));
	for (t->n_cells = 0, p++; p < end && t->n_cells < MARKDOWN_CELLS; t->n_cells++) {
		const char *bar = memchr(p, '|', (size_t)(end - p)), *stop = bar;
		size_t len;

		if (!bar)
			break;
		while (p < stop && *p == ' ')
			p++;
		while (stop > p && stop[-1] == ' ')
			stop--;
		len = (size_t)(stop - p);
		if (len >= MARKDOWN_CELL_SIZE)
			len = MARKDOWN_CELL_SIZE - 1;
		memcpy(t->cells[t->n_cells], p, len);
		p = bar + 1;
	}
	t->pos = end;
	return true;
}

#endif
