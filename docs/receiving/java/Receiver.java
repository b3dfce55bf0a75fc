// A receiver of Hooklane's webhooks, with the JDK alone. It stores, answers, and then works.
//
// Environment: WEBHOOK_SECRETS (one or more, separated by spaces), PORT (8080),
// INBOX (a file, inbox.txt).

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

public class Receiver {
    static final long TOLERANCE_S = 300;
    static final int LARGEST_BODY = 1024 * 1024;

    /** A line of the inbox: what is absent is a "-", the body is in base64. */
    record Event(String id, String lane, String sequence, String type, String body) {
        boolean hasOrder() {
            return !lane.equals("-") && !sequence.equals("-");
        }

        String line() {
            return String.join(" ", id, lane, sequence, type, body) + "\n";
        }
    }

    /** Whether one of the signatures was made with one of the secrets, a short while ago. */
    static boolean genuine(List<byte[]> secrets, Headers headers, byte[] body)
            throws GeneralSecurityException {
        String id = header(headers, "webhook-id", "[A-Za-z0-9_-]{1,128}");
        String timestamp = header(headers, "webhook-timestamp", "[0-9]{1,12}");
        if (id.equals("-") || timestamp.equals("-")) return false;
        long age = System.currentTimeMillis() / 1000 - Long.parseLong(timestamp);
        if (Math.abs(age) > TOLERANCE_S) return false;
        String signatures = headers.getFirst("webhook-signature");
        boolean found = false;
        for (byte[] secret : secrets) {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(secret, "HmacSHA256"));
            mac.update((id + "." + timestamp + ".").getBytes(UTF_8));
            String expected = "v1," + Base64.getEncoder().encodeToString(mac.doFinal(body));
            for (String given : (signatures == null ? "" : signatures).split(" ")) {
                found |= MessageDigest.isEqual(given.getBytes(UTF_8), expected.getBytes(UTF_8));
            }
        }
        return found;
    }

    /** What is kept of a genuine request. */
    static Event read(Headers headers, byte[] body) {
        return new Event(
                headers.getFirst("webhook-id"),
                header(headers, "hooklane-lane", "[0-9a-f]{32}"),
                header(headers, "hooklane-sequence", "[0-9]{1,18}"),
                header(headers, "ce-type", "[!-~]{1,512}"),
                Base64.getEncoder().encodeToString(body));
    }

    static String header(Headers headers, String name, String pattern) {
        String value = headers.getFirst(name);
        return value != null && value.matches(pattern) ? value : "-";
    }

    /** Your own work, one event after the other. Done twice for an event only after a crash. */
    static void work(Event event) {
        String body = new String(Base64.getDecoder().decode(event.body()), UTF_8);
        System.out.println("working on " + event.type() + " " + body);
    }

    /**
     * What was accepted, in a file: a line an event. INBOX.done has the ids that were worked on.
     * In a service of yours this is a table: `id` unique, the highest sequence by lane.
     */
    static class Inbox {
        private final FileChannel file;
        private final FileChannel done;
        private final Set<String> ids = new HashSet<>();
        private final Map<String, Long> highest = new HashMap<>();
        private final BlockingQueue<Event> todo = new LinkedBlockingQueue<>();

        Inbox(Path path) throws IOException {
            Path worked = Path.of(path + ".done");
            int workedOn = wholeLines(worked).size();
            int number = 0;
            for (String line : wholeLines(path)) {
                String[] part = line.split(" ", -1);
                Event event = new Event(part[0], part[1], part[2], part[3], part[4]);
                remember(event, number++ >= workedOn);
            }
            file = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            done = FileChannel.open(worked, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        }

        /** Keeps it for good before this returns, unless it was here, or comes too late. */
        synchronized void take(Event event) {
            if (ids.contains(event.id()) || isLate(event)) return;
            try {
                append(file, event.line());
                file.force(false);
            } catch (IOException error) {
                end(error);
            }
            remember(event, true);
        }

        /** For a thread of its own: works on one event after the other, and never ends. */
        void workOn() {
            try {
                while (true) {
                    Event event = todo.take();
                    work(event);
                    append(done, event.id() + "\n");
                }
            } catch (Exception error) {
                end(error);
            }
        }

        /** A request that was long under way: a later event of its lane has been here since. */
        private boolean isLate(Event event) {
            Long known = event.hasOrder() ? highest.get(event.lane()) : null;
            return known != null && Long.parseLong(event.sequence()) <= known;
        }

        private void remember(Event event, boolean toDo) {
            ids.add(event.id());
            if (event.hasOrder()) highest.put(event.lane(), Long.parseLong(event.sequence()));
            if (toDo) todo.add(event);
        }

        private static void append(FileChannel to, String text) throws IOException {
            ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(ISO_8859_1));
            while (bytes.hasRemaining()) to.write(bytes);
        }
    }

    /**
     * What cannot be stored is not answered, and what could not be worked on is not passed over:
     * the process ends, and goes on from its files when it is started again.
     */
    static void end(Exception error) {
        error.printStackTrace();
        Runtime.getRuntime().halt(1);
    }

    /** The file's lines. Half a line is what a crash left: it was never answered, and goes. */
    static List<String> wholeLines(Path path) throws IOException {
        if (!Files.exists(path)) return List.of();
        String found = Files.readString(path, ISO_8859_1);
        String whole = found.substring(0, found.lastIndexOf('\n') + 1);
        if (!whole.equals(found)) Files.writeString(path, whole, ISO_8859_1);
        return whole.lines().toList();
    }

    static int answer(HttpExchange exchange, List<byte[]> secrets, Inbox inbox)
            throws IOException, GeneralSecurityException {
        if (!exchange.getRequestURI().getPath().equals("/webhooks")) return 404;
        if (!exchange.getRequestMethod().equals("POST")) return 405;
        Headers headers = exchange.getRequestHeaders();
        String length = header(headers, "content-length", "[0-9]{1,9}");
        if (length.equals("-") || Integer.parseInt(length) > LARGEST_BODY) return 413;
        byte[] body = exchange.getRequestBody().readAllBytes();
        if (!genuine(secrets, headers, body)) return 401;
        inbox.take(read(headers, body));
        return 204;
    }

    public static void main(String[] arguments) throws IOException {
        Map<String, String> environment = System.getenv();
        List<byte[]> secrets = new ArrayList<>();
        try {
            for (String secret : environment.getOrDefault("WEBHOOK_SECRETS", "").split(" ")) {
                if (secret.isEmpty()) continue;
                secrets.add(Base64.getDecoder().decode(secret.replaceFirst("^whsec_", "")));
            }
        } catch (IllegalArgumentException error) {
            System.err.println("A secret in WEBHOOK_SECRETS is not base64 behind whsec_.");
            System.exit(1);
        }
        if (secrets.isEmpty()) {
            System.err.println("Set WEBHOOK_SECRETS to signing secrets, separated by spaces.");
            System.exit(1);
        }
        Inbox inbox = new Inbox(Path.of(environment.getOrDefault("INBOX", "inbox.txt")));
        Thread worker = new Thread(inbox::workOn);
        worker.setDaemon(true);
        worker.start();

        int port = Integer.parseInt(environment.getOrDefault("PORT", "8080"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 1024);
        server.setExecutor(Executors.newFixedThreadPool(32));
        server.createContext("/healthz", exchange -> {
            exchange.sendResponseHeaders(200, 3);
            exchange.getResponseBody().write("ok\n".getBytes(UTF_8));
            exchange.close();
        });
        server.createContext("/", exchange -> {
            try (exchange) {
                exchange.sendResponseHeaders(answer(exchange, secrets, inbox), -1);
            } catch (GeneralSecurityException error) {
                end(error);
            }
        });
        server.start();
    }
}
