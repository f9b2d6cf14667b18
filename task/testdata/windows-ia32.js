// A 32-bit Node on a 64-bit Windows.
'use strict';

Object.defineProperty(process, 'platform', { value: 'win32' });
process.env.PROCESSOR_ARCHITEW6432 = { x64: 'AMD64', arm64: 'ARM64' }[process.arch];
Object.defineProperty(process, 'arch', { value: 'ia32' });
