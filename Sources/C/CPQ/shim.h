#ifndef VYUHA_CPQ_H
#define VYUHA_CPQ_H
#include <libpq-fe.h>
#endif
