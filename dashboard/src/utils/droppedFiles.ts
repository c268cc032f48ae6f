/** What people choose or drop: files, and folders with all that is in them, each with the path it has there. */

export interface NamedFile {
  /** With `/`, from the folder that was chosen on. */
  path: string;
  file: File;
}

/** Of a choice: a file by itself has no path but its name. */
export function chosen(files: Iterable<File>): NamedFile[] {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** Of a drop. To be called while the event lasts: its items are gone after it. Raises what reading a folder raises. */
export async function dropped(items: Iterable<DataTransferItem>): Promise<NamedFile[]> {
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const found: NamedFile[] = [];
  for (const entry of entries) await collect(entry, found);
  return found;
}

async function collect(entry: FileSystemEntry, found: NamedFile[]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    found.push({ path: entry.fullPath.replace(/^\//, ''), file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // Browsers give a hundred at a time, and then none.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const each of some) await collect(each, found);
  }
}
