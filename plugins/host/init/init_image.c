#include "init_image.h"

/* .hidden: the addresses are taken with relative relocations inside of the plugin. */
__asm__(
    ".pushsection .rodata\n"
    ".global flynn_init_image\n.hidden flynn_init_image\n"
    ".global flynn_init_image_end\n.hidden flynn_init_image_end\n"
    "flynn_init_image:\n.incbin \"" FLYNN_INIT_PATH "\"\n"
    "flynn_init_image_end:\n.byte 0\n"
    ".popsection\n");
