# SPDX-License-Identifier: Apache-2.0
"""pillow: formats, filters, text."""
# needs: PIL

import io

from PIL import Image, ImageDraw, ImageFilter, ImageFont

image = Image.linear_gradient("L").resize((640, 480), Image.Resampling.LANCZOS).convert("RGB")
draw = ImageDraw.Draw(image)
draw.ellipse((100, 100, 300, 300), fill="red")
draw.text((10, 10), "text", font=ImageFont.load_default(size=30), fill="white")
image = image.filter(ImageFilter.GaussianBlur(3)).rotate(15, expand=True)
for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    assert Image.open(buffer).size == image.size, kind
image.save("image.png")
with Image.open("image.png") as back:
    assert back.convert("RGB").tobytes() == image.tobytes()
