// A 32-bit Node on a 32-bit Windows.
'use strict';

Object.defineProperty(process, 'platform', { value: 'win32' });
Object.defineProperty(process, 'arch', { value: 'ia32' });
