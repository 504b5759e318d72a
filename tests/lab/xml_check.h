/* Is it well-formed XML? Enough of the rules for what our code and cairo write: no DTD or CDATA. */
#ifndef S2A_TEST_XML_CHECK_H
#define S2A_TEST_XML_CHECK_H

#include <stddef.h>

/* Fails the test, with the place, when it is not. The number of elements named name. */
size_t xml_check(const char *text, size_t len, const char *name);

#endif
