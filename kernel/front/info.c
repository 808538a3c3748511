/* SPDX-License-Identifier: Apache-2.0 */
/* info: the content of kernel_info_reply (specs/wire.md 7; messaging.rst "Kernel info"), without asking Python. */
#include "kernel/front/info.h"

#include <stdio.h>

#include "kernel/front/state.h"
#include "kernel/sandbox/sandbox.h"
#include "protocol/wire/json.h"

static void append_banner(struct buffer *out, const struct interpreter *in)
{
	_cleanup_(buffer_deinitp) struct buffer text = BUFFER_INIT(8192);

	buffer_printf(&text, "Python %s\nType 'copyright', 'credits' or 'license' for more information\n",
	    in->version_text);
	if (in->ipython[0])
		buffer_printf(&text, "IPython %s -- An enhanced Interactive Python. Type '?' for help.\n", in->ipython);
	json_encode_string(out, buffer_slice(&text));
}

static void append_language(struct buffer *out, const struct interpreter *in)
{
	buffer_append_str(out, ",\"language_info\":{\"name\":\"python\",\"version\":");
	json_encode_string(out, slice_str(in->version));
	buffer_append_str(out, ",\"mimetype\":\"text/x-python\",\"codemirror_mode\":{\"name\":\"ipython\",\"version\":3},"
			       "\"pygments_lexer\":\"ipython3\",\"nbconvert_exporter\":\"python\","
			       "\"file_extension\":\".py\"}");
}

static void append_links(struct buffer *out, const struct interpreter *in)
{
	static const struct {
		const char *text;
		const char *url;
	} links[] = {
		{ "IPython Reference", "https://ipython.readthedocs.io/en/stable/" },
		{ "NumPy Reference", "https://docs.scipy.org/doc/numpy/reference/" },
		{ "SciPy Reference", "https://docs.scipy.org/doc/scipy/reference/" },
		{ "Matplotlib Reference", "https://matplotlib.org/contents.html" },
		{ "SymPy Reference", "http://docs.sympy.org/latest/index.html" },
		{ "pandas Reference", "https://pandas.pydata.org/pandas-docs/stable/" },
	};
	int major = 3, minor = 11;

	(void)sscanf(in->version, "%d.%d", &major, &minor);
	buffer_printf(out, ",\"help_links\":[{\"text\":\"Python Reference\",\"url\":\"https://docs.python.org/%d.%d\"}",
	    major, minor);
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		buffer_printf(out, ",{\"text\":\"%s\",\"url\":\"%s\"}", links[i].text, links[i].url);
	buffer_append_char(out, ']');
}

static void append_sandbox(struct buffer *out, const struct front *f)
{
	const struct profile *p = f->profile;
	uint32_t layers = f->source.sandbox ? sandbox_get_layers(f->source.sandbox) : 0;
	bool first = true;

	buffer_printf(out, "{\"level\":\"%s\",\"profile\":",
	    sandbox_level_names[f->source.sandbox ? sandbox_get_level(f->source.sandbox) : SANDBOX_NONE]);
	if (p)
		json_encode_string(out, slice_str(p->name));
	else
		buffer_append_str(out, "null");
	buffer_append_str(out, ",\"layers\":[");
	for (int i = 0; i < LAYER_COUNT; i++) {
		if (!(layers & 1u << i))
			continue;
		buffer_printf(out, "%s\"%s\"", first ? "" : ",", layer_rows[i].name);
		first = false;
	}
	buffer_append_str(out, "]}");
}

void info_content(const struct front *f, struct buffer *out)
{
	const struct interpreter *in = &f->interpreter;

	buffer_append_str(out, "{\"status\":\"ok\",\"protocol_version\":\"" HEADER_PROTOCOL_VERSION
			       "\",\"implementation\":\"ipython\",\"implementation_version\":");
	json_encode_string(out, slice_str(in->ipython[0] ? in->ipython : PACKAGE_VERSION));
	append_language(out, in);
	buffer_append_str(out, ",\"banner\":");
	append_banner(out, in);
	append_links(out, in);
	buffer_printf(out, ",\"supported_features\":[\"kernel subshells\"%s],\"debugger\":%s",
	    in->debugpy ? ",\"debugger\"" : "", in->debugpy ? "true" : "false");
	buffer_append_str(out, ",\"husk\":{\"version\":\"" PACKAGE_VERSION "\",\"python\":");
	json_encode_string(out, slice_str(in->executable));
	buffer_append_str(out, ",\"sandbox\":");
	append_sandbox(out, f);
	buffer_append_str(out, "}}");
}
