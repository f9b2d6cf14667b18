// A task folder on a file system that may hold no programs.
const fs = require('fs');
const path = require('path');
const access = fs.accessSync;
fs.accessSync = (file, mode) => {
  if (path.basename(path.dirname(file)) === 'bin') throw Object.assign(new Error('permission denied'), { code: 'EACCES' });
  return access(file, mode);
};
