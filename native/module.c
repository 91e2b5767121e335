/* An empty Python module: it only makes setuptools build and install the library as
   `intact._native`. The functions are called through ctypes (src/intact/native.py), so that the
   same C compiles to WebAssembly; this is the only file that knows of Python. */
#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_native", "Native code of Intact, called through ctypes.", -1,
    NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void) { return PyModule_Create(&module); }
