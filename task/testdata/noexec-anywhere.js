// No file system may hold programs.
const fs = require('fs');
fs.accessSync = () => { throw Object.assign(new Error('permission denied'), { code: 'EACCES' }); };
