// A Windows for which the task has no executable.
'use strict';

Object.defineProperty(process, 'platform', { value: 'win32' });
Object.defineProperty(process, 'arch', { value: 'arm' });
