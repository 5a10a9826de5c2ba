/* The static program flynn-init, as bytes. */
#ifndef FLYNN_HOST_INIT_IMAGE_H
#define FLYNN_HOST_INIT_IMAGE_H

#ifdef __cplusplus
extern "C" {
#endif
extern const char flynn_init_image[];
extern const char flynn_init_image_end[];
#ifdef __cplusplus
}
#endif
#endif
