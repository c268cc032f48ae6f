import { useCallback, useEffect, useRef, useState } from 'react';
import { Text, View } from 'react-native';

import { useObservable } from '../hooks/useObservable';
import { detail } from '../styles/detail';
import { layout } from '../styles/layout';
import { status } from '../styles/status';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { chosen, dropped, type NamedFile } from '../utils/droppedFiles';
import { inWords } from '../utils/errors';
import { bytes } from '../utils/quantities';
import { download, list, removeObject, type ObjectSeen, type Page } from '../utils/s3';
import { say } from '../utils/toasts';
import { send, uploads } from '../utils/uploads';
import { Age } from './Age';
import { Button } from './Button';
import { Confirm } from './Confirm';
import { DataTable, type Column } from './DataTable';
import { Empty, Failed } from './Empty';
import { Loading } from './Loading';
import { notDownloaded, ObjectDialog } from './ObjectDialog';
import { Panel } from './Panel';
import { UnfinishedUploads } from './UnfinishedUploads';

type Row = { folder: string } | { object: ObjectSeen };
const NOTHING: Page = { objects: [], folders: [], next: null };

/** What lies in a bucket, folder by folder: upload, download, share, delete. */
export function ObjectBrowser({ bucket, may }: { bucket: string; may: boolean }) {
  const [prefix, setPrefix] = useState('');
  const [page, setPage] = useState<Page>(NOTHING);
  /** 'loading', 'there', or why it is not. */
  const [state, setState] = useState<unknown>('loading');
  const [doomed, setDoomed] = useState<string | null>(null);
  const [seen, setSeen] = useState<string | null>(null);
  const read = useCallback(
    async (after: string | null = null) => {
      try {
        const found = await list(bucket, prefix, after);
        setPage((before) =>
          after
            ? {
                ...found,
                objects: [...before.objects, ...found.objects],
                folders: [...before.folders, ...found.folders],
              }
            : found,
        );
        setState('there');
      } catch (error) {
        setState(error);
      }
    },
    [bucket, prefix],
  );
  useEffect(() => {
    setState('loading');
    void read();
  }, [read]);
  const remove = async (key: string) => {
    setPage((before) => ({ ...before, objects: before.objects.filter((each) => each.key !== key) }));
    try {
      await removeObject(bucket, key);
      say('well', `${key} is deleted`);
    } catch (error) {
      say('bad', `Not deleted: ${inWords(error).what}`, inWords(error).next);
      await read();
    }
  };
  const rows: Row[] = [...page.folders.map((folder) => ({ folder })), ...page.objects.map((object) => ({ object }))];
  return (
    <View style={layout.stackWide}>
      <View style={[layout.between, { flexWrap: 'wrap' }]}>
        <Crumbs bucket={bucket} prefix={prefix} onGo={setPrefix} />
        <Button label="Refresh" onPress={() => void read()} />
      </View>
      {may && <Upload bucket={bucket} prefix={prefix} onDone={() => void read()} />}
      {may && <UnfinishedUploads bucket={bucket} prefix={prefix} />}
      <Panel flush>
        {state === 'loading' && <Loading what="objects" />}
        {state !== 'loading' && state !== 'there' && (
          <Failed error={state}>
            <Button label="Try again" look="primary" onPress={() => void read()} />
          </Failed>
        )}
        {state === 'there' && rows.length === 0 && (
          <Empty title="Nothing is here" next={`Drop a file above, or: aws s3 cp FILE s3://${bucket}/${prefix}`} />
        )}
        {state === 'there' && rows.length > 0 && (
          <DataTable
            label="Objects"
            columns={columns(bucket, prefix, may, { folder: setPrefix, look: setSeen, remove: setDoomed })}
            rows={rows}
            keyOf={(row) => ('folder' in row ? row.folder : row.object.key)}
          />
        )}
      </Panel>
      {page.next && <Button label="More" onPress={() => void read(page.next)} />}
      {seen && <ObjectDialog bucket={bucket} name={seen} onClose={() => setSeen(null)} />}
      {doomed && (
        <Confirm
          title="Delete object"
          what={`${doomed} will be deleted for good.`}
          action="Delete it"
          onClose={() => setDoomed(null)}
          onYes={() => void remove(doomed)}
        />
      )}
    </View>
  );
}

function Crumbs({ bucket, prefix, onGo }: { bucket: string; prefix: string; onGo: (prefix: string) => void }) {
  const parts = prefix.split('/').filter(Boolean);
  return (
    <View style={layout.wrap}>
      <Button label={bucket} icon="buckets" look="bare" onPress={() => onGo('')} />
      {parts.map((part, index) => (
        <Button
          key={index}
          label={`/ ${part}`}
          look="bare"
          onPress={() => onGo(`${parts.slice(0, index + 1).join('/')}/`)}
        />
      ))}
    </View>
  );
}

interface Presses {
  folder: (to: string) => void;
  look: (key: string) => void;
  remove: (key: string) => void;
}

function columns(bucket: string, prefix: string, may: boolean, press: Presses): Column<Row>[] {
  return [
    {
      name: 'Name',
      width: 3,
      phone: 'name',
      cell: (row) =>
        'folder' in row ? (
          <View style={[layout.row, { marginLeft: -9 }]}>
            <Button
              label={row.folder.slice(prefix.length)}
              icon="folder"
              look="bare"
              onPress={() => press.folder(row.folder)}
            />
          </View>
        ) : (
          <View style={[layout.row, { marginLeft: -9 }]}>
            <Button
              label={row.object.key.slice(prefix.length)}
              icon="file"
              look="bare"
              onPress={() => press.look(row.object.key)}
            />
          </View>
        ),
    },
    {
      name: 'Size',
      width: 1,
      phone: 'beside',
      cell: (row) => <Text style={text.small}>{'folder' in row ? '' : bytes(row.object.size)}</Text>,
    },
    {
      name: 'Changed',
      phone: 'none',
      width: 1,
      cell: (row) => ('folder' in row ? <Text /> : <Age of={row.object.modified} suffix=" ago" />),
    },
    {
      name: '',
      width: 190,
      fixed: true,
      end: true,
      cell: (row) =>
        'folder' in row ? null : (
          <View style={layout.row}>
            <Button label="Download" onPress={() => void download(bucket, row.object.key).catch(notDownloaded)} />
            {may && (
              <Button
                label={`Delete ${row.object.key}`}
                icon="trash"
                small
                look="danger"
                onPress={() => press.remove(row.object.key)}
              />
            )}
          </View>
        ),
    },
  ];
}

/** So many bars; the rest waits its turn. */
const BARS = 5;

function Upload({ bucket, prefix, onDone }: { bucket: string; prefix: string; onDone: () => void }) {
  const input = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const going = useObservable(uploads).filter((each) => each.bucket === bucket);
  useEffect(() => {
    if (folder.current) folder.current.webkitdirectory = true; // React knows no such attribute
  }, []);
  const take = (files: readonly NamedFile[]) => void send(bucket, prefix, files).then(onDone);
  return (
    <div
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        dropped(event.dataTransfer.items).then(take, (error: unknown) =>
          say('bad', `Not uploaded: the folder cannot be read (${String(error)})`),
        );
      }}
    >
      <View style={detail.drop}>
        <View style={layout.wrap}>
          <Text style={text.soft}>Drop files or folders here, or</Text>
          <Button label="Choose files" icon="plus" look="primary" onPress={() => input.current?.click()} />
          <Button label="Choose a folder" icon="folder" onPress={() => folder.current?.click()} />
        </View>
        <input
          ref={input}
          type="file"
          multiple
          hidden
          aria-label="Files to upload"
          onChange={(event) => take(chosen(event.target.files ?? []))}
        />
        <input
          ref={folder}
          type="file"
          hidden
          aria-label="Folder to upload"
          onChange={(event) => take(chosen(event.target.files ?? []))}
        />
        {going.slice(0, BARS).map((each) => (
          <View
            key={each.id}
            style={[status.meterRow, { width: '100%', maxWidth: 520 }]}
            role="progressbar"
            aria-label={each.key}
            aria-valuenow={Math.round(each.share * 100)}
          >
            <Text style={[text.small, { width: 180 }]} numberOfLines={1}>
              {each.key}
            </Text>
            <View style={status.meter}>
              <View style={[status.meterFill, { width: `${each.share * 100}%`, backgroundColor: color.busy }]} />
            </View>
            <Text style={text.small}>{Math.round(each.share * 100)} %</Text>
          </View>
        ))}
        {going.length > BARS && <Text style={text.small}>{going.length - BARS} more wait</Text>}
      </View>
    </div>
  );
}
