# One image for every process; compose.yaml says which command each runs. It holds no secret and keeps no data.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --system --uid 10001 --home-dir /srv/emsp --create-home --shell /usr/sbin/nologin emsp
WORKDIR /app

# Every package comes as a wheel, so nothing is compiled; only changed requirements install again.
COPY requirements.txt .
RUN pip install --no-cache-dir --only-binary=:all: --require-hashes -r requirements.txt

COPY manage.py gunicorn.conf.py ./
COPY apps apps
COPY emsp emsp
COPY static static
COPY templates templates

# Static files are part of the image. Settings want values to start with; these are known to everybody and stay here.
ENV DATA_DIR=/srv/emsp
RUN python -m compileall -q apps emsp \
 && SECRET_KEY=build DATABASE_URL=postgres://build@127.0.0.1/build PUBLIC_URL=https://build.invalid \
    FIELD_KEYS=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
    python manage.py collectstatic --noinput \
 && chown -R emsp: /srv/emsp

USER emsp
EXPOSE 8000
CMD ["gunicorn", "--bind", "0.0.0.0:8000"]
