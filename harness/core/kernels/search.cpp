// The general search for a legal order.
#include "native.hpp"

PyMethodDef search_methods[] = {{nullptr, nullptr, 0, nullptr}};
